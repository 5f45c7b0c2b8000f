"""Templates compiled into pieces that are encoded already: making a mail is then little more than joining them.

What is the same in every mail of a template version and locale is worked out when it is compiled: the brand's values, the
translations, loops over either. What is left between the customer's values is text, encoded there and then; values are
when they come, and what a mail says of a product alone, name and price and picture, is kept for the next mail that shows it.

In a template `x.y` is the item y of x and nothing else: no attribute of any object is within its reach.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from gettext import NullTranslations
from typing import Any

from jinja2 import Environment, meta, nodes
from jinja2.runtime import Context
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer
from markupsafe import escape

from campaigns.quoted import Address, Body, quoted
from campaigns.template_code import GIVEN, written
from core.errors import CampaignInvalid

Names = dict[str, Any]

MOST_KEPT = 10_000
"""Encoded values kept by one part, and runs: what names, prices and reasons are made of recurs from customer to customer."""
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%(%)")
_COUNTS = (*range(200), 10**6)  # between them they have every plural form of every language


class Part:
    """One part of a mail, compiled for one locale: makes it from the names that a template may use.

    `env` is the sandbox of the locale and the kind of part, used for nothing else; `constants` are names that are the same
    in every mail, and every mail is given them too.

    Raises
    ------
    CampaignInvalid
        If the template gives one of these names, or `link`, `tile` or `plural_form`, a value of its own.
    jinja2.TemplateError
        If the source is no template, or needs a constant that there is not.
    """

    def __init__(self, source: str, env: Environment, speech: NullTranslations, constants: Names) -> None:
        tree = _Folding(env, speech, constants).visit(env.parse(source))
        tree.body.append(nodes.Output([nodes.TemplateData("\n")]))
        self._tree = _Giving().visit(tree).set_environment(env)
        self._env = env
        env.globals["plural_form"] = lru_cache(maxsize=4096)(speech.ngettext)

    def as_text(self) -> Callable[[Names], str]:
        """Return what makes the part as it reads."""
        write = self._compiled(str, str)
        return lambda names: "".join(write(names))

    def as_pieces(self) -> Callable[[Names], bytes] | None:
        """Return what makes the part in quoted-printable; None if base64 is shorter for what is the same in every mail."""
        static = "".join(node.data for node in self._tree.find_all(nodes.TemplateData))
        if Body.of(static).encoding == "base64":
            return None
        write = self._compiled(quoted, _in_html if self._env.autoescape else _in_text)
        return lambda names: b"".join(write(names))

    def _compiled(
        self, of_text: Callable[[str], Any], of_value: Callable[[object], Any]
    ) -> Callable[[Names], Iterator[Any]]:
        env, pieces = self._env, _Pieces(of_value)
        write, eval_ctx = written(self._tree, env, of_text), nodes.EvalContext(env)
        return lambda names: write(_Context(env, eval_ctx, names, pieces))


def _in_html(value: object) -> bytes:
    return quoted(str(escape(value)))


def _in_text(value: object) -> bytes:
    return quoted(str(value))


class _Context(Context):
    """What a template finds its names in: made in a tenth of the time, as no template of ours needs what else there is."""

    def __init__(
        self, env: Environment, eval_ctx: nodes.EvalContext, names: Names, pieces: "_Pieces"
    ) -> None:
        self.environment, self.eval_ctx, self.parent, self.pieces = env, eval_ctx, names, pieces
        self.vars, self.exported_vars = {}, set()

    def resolve_or_missing(self, key: str) -> Any:
        found = self.parent.get(key, missing)
        return found if found is not missing else self.environment.globals.get(key, missing)


class _Pieces(dict[Any, Any]):
    """Value → its piece, made when it is first asked for; and `runs`, joined pieces by the values they are made of."""

    def __init__(self, of: Callable[[object], Any]) -> None:
        super().__init__()
        self.of = of
        self.runs: dict[Any, Any] = {}

    def keep(self, key: tuple[Any, ...], pieces: list[Any]) -> Any:
        """Return pieces joined, and keep them as a run; runs that say the same are one."""
        if len(self.runs) >= MOST_KEPT:
            self.runs.clear()
        run = self.of("").join(pieces)
        self.runs[key] = run = self.runs.setdefault(run, run)
        return run

    def __missing__(self, value: object) -> Any:
        piece = self.of(value)
        if type(value) is str:
            if len(self) >= MOST_KEPT:
                self.clear()
            self[value] = piece
        return piece

    def of_any(self, value: object) -> Any:
        """Return the piece of a value that may be markup, or an address."""
        if type(value) is str:
            return self[value]
        return value.piece if isinstance(value, Address) and self.of is not str else self.of(value)


class _Folding(NodeTransformer):
    """Puts text in place of whatever is the same in every mail, and of every message that is translated."""

    def __init__(self, env: Environment, speech: NullTranslations, constants: Names) -> None:
        self._env, self._speech, self._constants = env, speech, constants
        self._same = constants.keys() | {"_", "gettext", "ngettext"}

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        if node.ctx != "load" and (node.name in self._same or node.name in GIVEN or node.name == "products"):
            raise CampaignInvalid(f"line {node.lineno}: {node.name!r} is a name that templates use otherwise")
        value = self._constants.get(node.name)
        return nodes.Const(value) if isinstance(value, str) else node

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        raise CampaignInvalid(f"line {node.lineno}: a block cannot be filtered; put the filter on each value")

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        raise CampaignInvalid(f"line {node.lineno}: a macro cannot be called with a block; give it values")

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        return nodes.Output([self._text_of(node)]) if self._is_same(node) else self.generic_visit(node)

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        return nodes.Output([self._text_of(node)]) if self._is_same(node) else self.generic_visit(node)

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:  # noqa: N802  # Jinja's name for it
        found: list[nodes.Node] = []
        for child in node.nodes:
            if (sentence := _plain_sentence(child)) is not None:
                found.append(nodes.Output([nodes.TemplateData(self._speech.gettext(sentence) % {})]))
            elif isinstance(child, nodes.TemplateData) or not self._is_same(nodes.Output([child])):
                found += self._spoken(self.visit(child))
            else:
                found.append(nodes.Output([self._text_of(nodes.Output([child]))]))
        return found

    def _is_same(self, node: nodes.Stmt) -> bool:
        named = {name.name for name in node.find_all(nodes.Name) if name.ctx != "load"}
        if any(name.name not in self._same | named | {"loop"} for name in node.find_all(nodes.Name)):
            return False  # so nearly always, and 20 times as fast as asking Jinja
        names_something = (
            next(node.find_all((nodes.Assign, nodes.AssignBlock, nodes.Macro)), None) is not None
        )
        return not names_something and meta.find_undeclared_variables(self._alone(node)) <= self._same

    def _text_of(self, node: nodes.Stmt) -> nodes.TemplateData:
        alone = self._env.from_string(self._alone(node))
        return nodes.TemplateData(alone.render(self._constants))

    def _alone(self, node: nodes.Stmt) -> nodes.Template:
        template = nodes.Template([node], lineno=1)
        template.set_environment(self._env)
        return template

    def _spoken(self, node: nodes.Expr) -> Iterator[nodes.Node]:
        """Yield an expression's output; of a message with values, its translation cut where they stand."""
        match node:
            case nodes.Call(node=nodes.Name(name="gettext" | "_"), args=[nodes.Const(value=str(message))]):
                yield self._cut(self._speech.gettext(message), node)
            case nodes.Call(
                node=nodes.Name(name="ngettext"),
                args=[nodes.Const(value=str(one)), nodes.Const(value=str(many)), number],
            ):
                texts = [nodes.Const(one), nodes.Const(many)]
                call = nodes.Call(nodes.Name("plural_form", "load"), [*texts, number], [], None, None)
                *forms, last = {self._speech.ngettext(one, many, n): n for n in _COUNTS}
                otherwise: nodes.Node = self._cut(last, node)
                for form in forms:
                    test = nodes.Compare(call, [nodes.Operand("eq", nodes.Const(form))])
                    otherwise = nodes.If(test, [self._cut(form, node)], [], [otherwise])
                yield otherwise
            case _:
                yield nodes.Output([node])

    @staticmethod
    def _cut(message: str, call: nodes.Call) -> nodes.Output:
        values = {each.key: each.value for each in call.kwargs}
        texts = _PLACEHOLDER.split(message)
        if any("%" in text for text in texts[::3]) or not set(filter(None, texts[1::3])) <= values.keys():
            return nodes.Output([call])  # in a form that only Python's own formatting knows
        found: list[nodes.Expr] = [nodes.TemplateData(texts[0])]
        for name, percent, text in zip(texts[1::3], texts[2::3], texts[3::3], strict=True):
            found += [values[name] if name else nodes.TemplateData(percent), nodes.TemplateData(text)]
        return nodes.Output([each for each in found if each != nodes.TemplateData("")])


class _Giving(NodeTransformer):
    """Has what every mail is given called by a name of the code's own: looking it up takes longer than calling it."""

    def visit_Call(self, node: nodes.Call) -> nodes.Call:  # noqa: N802  # Jinja's name for it
        self.generic_visit(node)
        is_plain = not (node.kwargs or node.dyn_args or node.dyn_kwargs)
        if is_plain and isinstance(node.node, nodes.Name) and node.node.name in GIVEN:
            name = object.__new__(nodes.InternalName)  # as Parser.free_identifier makes them
            nodes.Node.__init__(name, f"given_{node.node.name}")
            return nodes.Call(name, node.args, [], None, None)
        return node


def _plain_sentence(node: nodes.Expr) -> str | None:
    """Return the message id of an expression that is a message without values."""
    match node:
        case nodes.Call(
            node=nodes.Name(name="gettext" | "_"), args=[nodes.Const(value=str(message))], kwargs=[]
        ):
            return message
    return None
