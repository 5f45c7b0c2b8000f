"""Mail templates compiled into pieces that are encoded already: making a mail is then little more than joining them.

What is the same in every mail of a template version and locale is worked out when it is compiled: the brand's values, the
translations, loops over either. What is left between the customer's values is text, turned into quoted-printable (RFC
2045, section 6.7) there and then; values are turned as they come. Every piece ends with a line break, a soft one unless
the text has a line end there, so pieces follow each other in any order and no line is longer than 76 characters.

In a template `x.y` is the item y of x and nothing else: no attribute of any object is within its reach.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from gettext import NullTranslations
from typing import Any

from jinja2 import Environment, meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer
from markupsafe import escape

from core.errors import CampaignInvalid

Names = dict[str, Any]

_LOOP = {"index", "index0", "first", "last", "length"}
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%(%)")
_COUNTS = range(200)  # enough to meet every plural form of every language but those of millions
_LONGEST_KEPT = 100  # characters; longer values are addresses, which no other mail has

_STOPS = tuple("".join(f"={byte:X}" for byte in stop.encode()) for stop in "\u3002\uff1f\uff01")  # . ? !
_BLANKS = r"(?:=\r\n)*(?:=20|=09|[ \t]|\r\n)(?:=\r\n|=20|=09|[ \t]|\r\n)*+"
_GAPS = [(stop, re.compile(rf"{stop}{_BLANKS}(?=[^<])")) for stop in _STOPS]


def quoted(text: str) -> str:
    """Return `text` in quoted-printable, ending with a line break; that is a soft one if the text has none."""
    encoded = binascii.b2a_qp(text.encode(), istext=True).decode().replace("\n", "\r\n")
    return encoded if encoded.endswith("\n") or not encoded else f"{encoded}=\r\n"


def unquoted(encoded: str) -> str:
    """Return the text of quoted-printable lines, its line ends as single line feeds."""
    return binascii.a2b_qp(encoded).decode().replace("\r\n", "\n")


def without_gaps(encoded: str) -> str:
    """Return quoted-printable HTML without white space between a full-width stop and the words after it."""
    for stop, gap in _GAPS:
        if stop in encoded:
            encoded = gap.sub(f"{stop}=\r\n", encoded)
    return encoded


def compile_part(
    source: str, env: Environment, speech: NullTranslations, constants: Names, *, is_quoted: bool
) -> Callable[[Names], str]:
    """Return what makes one part of a mail from the names a template may use, in quoted-printable or as it is.

    `env` is the sandbox of one locale and kind of part, used for nothing else; `constants` are names that are the same
    in every mail, and every mail is given them too.

    Raises
    ------
    CampaignInvalid
        If the template gives one of these names, or `link`, `tile` or `plural_form`, a value of its own.
    jinja2.TemplateError
        If the source is no template, or needs a constant that there is not.
    """
    tree = _Folding(env, speech, constants).visit(env.parse(source)).set_environment(env)
    env.code_generator_class = _Code
    env.extend(
        static=quoted if is_quoted else str,
        piece=(_markup if env.autoescape else _plain) if is_quoted else str,
    )
    env.globals["plural_form"] = lru_cache(maxsize=4096)(speech.ngettext)
    template = env.template_class.from_code(env, env.compile(tree), env.globals)

    def write(names: Names) -> str:  # as Template.render does it, but for a second copy of the names
        return "".join(template.root_render_func(Context(env, env.globals | names, None, template.blocks)))

    return write


class _Folding(NodeTransformer):
    """Puts text in place of whatever is the same in every mail, and of every message that is translated."""

    def __init__(self, env: Environment, speech: NullTranslations, constants: Names) -> None:
        self._env, self._speech, self._constants = env, speech, constants
        self._same = constants.keys() | {"_", "gettext", "ngettext"}

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        if node.ctx != "load" and node.name in self._same | _Code.given:
            raise CampaignInvalid(f"line {node.lineno}: {node.name!r} is a name that templates use otherwise")
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        return nodes.Output([self._text_of(node)]) if self._is_same(node) else self.generic_visit(node)

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802  # Jinja's name for it
        return nodes.Output([self._text_of(node)]) if self._is_same(node) else self.generic_visit(node)

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:  # noqa: N802  # Jinja's name for it
        found: list[nodes.Node] = []
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData) or not self._is_same(nodes.Output([child])):
                found += self._spoken(child)
            else:
                found.append(nodes.Output([self._text_of(nodes.Output([child]))]))
        return found

    def _is_same(self, node: nodes.Stmt) -> bool:
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
                otherwise: nodes.Node = nodes.Output([node])
                texts = [nodes.Const(one), nodes.Const(many)]
                call = nodes.Call(nodes.Name("plural_form", "load"), [*texts, number], [], None, None)
                for form in {self._speech.ngettext(one, many, n): n for n in _COUNTS}:
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
        return nodes.Output(found)


class _Code(CodeGenerator):
    """Writes the code of a template: static text encoded, values encoded when they come."""

    given = frozenset({"link", "tile", "plural_form"})
    _is_captured = False

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline("piece = environment.piece")

    def blockvisit(self, body: Iterable[nodes.Node], frame: Frame) -> None:
        joined: list[nodes.Node] = []  # what is output one after the other, at once: text that meets is one piece
        for node in body:
            last = joined[-1] if joined else None
            if isinstance(node, nodes.Output) and isinstance(last, nodes.Output):
                joined[-1] = nodes.Output([*last.nodes, *node.nodes])
            else:
                joined.append(node)
        super().blockvisit(joined, frame)

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802  # Jinja's name for it
        self._is_captured = frame.buffer is not None  # by a macro, or a block that is a value: encoded later
        super().visit_Output(node, frame)

    def _output_const_repr(self, group: Any) -> str:
        text = "".join(group)
        return repr(text if self._is_captured else self.environment.static(text))  # type: ignore[attr-defined]

    def _output_child_pre(
        self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        if self._is_captured:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("piece(")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802  # Jinja's name for it
        is_of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        if is_of_loop and node.attr not in _LOOP:
            super().visit_Getattr(node, frame)
            return
        self.visit(node.node, frame)
        self.write(f".{node.attr}" if is_of_loop else f"[{node.attr!r}]")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802  # Jinja's name for it
        is_given = isinstance(node.node, nodes.Name) and node.node.name in self.given
        if not is_given or node.kwargs or node.dyn_args or node.dyn_kwargs:
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.visit(node.node, frame)  # ours, and so safe: checking each call takes longer than it
        self.write("(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


def _markup(value: object) -> str:
    if type(value) is str and len(value) <= _LONGEST_KEPT:
        return _kept_markup(value)
    return quoted(str(escape(value)))


def _plain(value: object) -> str:
    if type(value) is str and len(value) <= _LONGEST_KEPT:
        return _kept_plain(value)
    return quoted(str(value))


@lru_cache(maxsize=32_768)  # what names, prices and reasons are made of recurs from customer to customer
def _kept_markup(value: str) -> str:
    return quoted(str(escape(value)))


@lru_cache(maxsize=32_768)
def _kept_plain(value: str) -> str:
    return quoted(value)
