"""The code of a template: text encoded when it is written, values when they come.

What is made of few values of a product, the same for every customer, is written such that it is made once and kept: a run.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame

_Values = dict[tuple[str, str], nodes.Expr]

MOST_READ = 4
"""Values by which a run is kept: with more of them it would hardly recur."""
GIVEN = ("link", "tile", "plural_form")
"""Names that every mail is given; `plural_form` is the catalogue's."""
_OF_PRODUCT = {"name", "category", "size", "price_cents", "currency"}  # texts and integers, the same for all
_OF_TILE = ("name", "category")
_MADE_OF_PARTS = (
    *(nodes.TemplateData, nodes.Const, nodes.Output, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.Test, nodes.Getattr, nodes.Filter, nodes.And, nodes.Or, nodes.Not),
)
_PLAIN_FILTERS = {"clip", "day", "lower", "money", "month", "number", "percent"}


def written(
    tree: nodes.Template, env: Environment, of_text: Callable[[str], Any]
) -> Callable[[Any], Iterator[Any]]:
    """Return what yields a mail's part from a context that has `pieces`; `of_text` encodes what is the same in every mail."""
    env.code_generator_class = partial(_Code, of_text)  # type: ignore[assignment]  # called as the class is
    write = env.template_class.from_code(env, env.compile(tree), env.globals).root_render_func
    write.__globals__["LoopContext"] = _turns
    return write


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a template knows as `loop`."""

    index: int
    index0: int
    revindex: int
    revindex0: int
    first: bool
    last: bool
    length: int

    def cycle(self, *values: object) -> object:
        """Return the value whose turn it is."""
        return values[self.index0 % len(values)]


_LOOP = {each.name for each in fields(_Turn)}


def _turns(rows: Iterable[Any], _undefined: object) -> Iterator[tuple[Any, _Turn]]:
    """Yield rows with their turns, as Jinja's LoopContext does, which takes as long as writing the row."""
    known = list(rows)
    return zip(known, _turns_of(len(known)), strict=True)


@lru_cache(maxsize=256)
def _turns_of(length: int) -> list[_Turn]:
    return [
        _Turn(at + 1, at, length - at, length - at - 1, at == 0, at == length - 1, length)
        for at in range(length)
    ]


class _Code(CodeGenerator):
    """Writes the code of a template: static text encoded, values encoded when they come."""

    def __init__(self, of_text: Callable[[str], Any], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._of_text = of_text
        self._is_captured = False
        self._products: list[str] = []  # what loops over products, or groups of them, call one
        self._buffers: list[str | None] = []  # of what is kept

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline("pieces = context.pieces")
        self.writeline("piece = pieces.of_any")
        self.writeline("runs = pieces.runs")
        for name in GIVEN:
            self.writeline(f"given_{name} = resolve({name!r})")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802  # Jinja's name for it
        over = {name.name for name in nodes.Output([node.iter]).find_all(nodes.Name)}
        named = [name.name for name in node.find_all(nodes.Name) if name.ctx != "load"]
        known, is_over_products = self._products, over and over <= {"products", *self._products}
        if is_over_products and isinstance(node.target, nodes.Name) and named.count(node.target.name) == 1:
            self._products = [*known, node.target.name]
        super().visit_For(node, frame)
        self._products = known

    def blockvisit(self, body: Iterable[nodes.Node], frame: Frame) -> None:
        is_of_product = self._products and frame.loop_frame and not frame.soft_frame and frame.buffer is None
        if not is_of_product:
            super().blockvisit(_joined(body), frame)
            return
        for run, values in self._runs_of(body):
            if values:
                self._write_kept(run, values, frame)
            else:
                super().blockvisit(run, frame)

    def _runs_of(self, body: Iterable[nodes.Node]) -> Iterator[tuple[list[nodes.Node], list[nodes.Expr]]]:
        """Yield a body in runs, each with the few values of a product that it is made of; none if it is made of others."""
        run: list[nodes.Node] = []
        values: _Values = {}
        for part in _parted(body):
            read = self._values_of(part)
            if read is None or len(values | read) > MOST_READ:
                yield _joined(run), list(values.values())
                run, values = [], {}
            if read is None or len(read) > MOST_READ:
                yield [part], []
            else:
                run.append(part)
                values |= read
        yield _joined(run), list(values.values())

    def _values_of(self, node: nodes.Node) -> "_Values | None":
        """Return the values of a product, or of its place in the loop, that are all that a node is made of; None if they are not."""
        found: _Values | None = None
        match node:
            case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr):
                found = {("loop", attr): node} if attr in _LOOP else None
            case nodes.Getattr(node=nodes.Name(name=name), attr=attr) if name in self._products:
                found = {(name, attr): node} if attr in _OF_PRODUCT else None
            case nodes.Call(
                node=nodes.InternalName(name="given_tile"), args=[nodes.Name(name=name) as product]
            ):
                if name in self._products:
                    found = {(name, attr): nodes.Getattr(product, attr, "load") for attr in _OF_TILE}
            case nodes.Call(node=nodes.InternalName(name="given_plural_form")):
                found = self._values_of_all(node.args)
            case nodes.Filter(name=name) if name not in _PLAIN_FILTERS:
                pass
            case _ if isinstance(node, _MADE_OF_PARTS):
                found = self._values_of_all(node.iter_child_nodes())
        return found

    def _values_of_all(self, children: Iterable[nodes.Node]) -> "_Values | None":
        found: _Values = {}
        for child in children:
            if (values := self._values_of(child)) is None:
                return None
            found |= values
        return found

    def _write_kept(self, run: list[nodes.Node], values: list[nodes.Expr], frame: Frame) -> None:
        """Write a run such that it is made once of the same values."""
        kept = frame.soft()
        key, made = self.temporary_identifier(), self.temporary_identifier()
        self.writeline(f"{key} = ({len(self._buffers)}, ")
        for value in values:
            self.visit(value, frame)
            self.write(", ")
        self.write(")")
        self.writeline(f"{made} = runs.get({key})")
        self.writeline(f"if {made} is None:")
        self.indent()
        self.buffer(kept)
        self._buffers.append(kept.buffer)
        super().blockvisit(run, kept)
        self.writeline(f"{made} = pieces.keep({key}, {kept.buffer})")
        self.outdent()
        self.writeline(f"yield {made}")

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802  # Jinja's name for it
        # by a macro, or a block that is a value: encoded later
        self._is_captured = frame.buffer is not None and frame.buffer not in self._buffers
        super().visit_Output(node, frame)

    def _output_const_repr(self, group: Any) -> str:
        text = "".join(group)
        return repr(text if self._is_captured else self._of_text(text))

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if self._is_captured:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("pieces[" if _is_plain(node) else "piece(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("]" if _is_plain(node) and not self._is_captured else ")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802  # Jinja's name for it
        is_of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        if is_of_loop and node.attr not in _LOOP:
            super().visit_Getattr(node, frame)
            return
        self.visit(node.node, frame)
        self.write(f".{node.attr}" if is_of_loop else f"[{node.attr!r}]")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802  # its name in Jinja
        if not isinstance(node.node, nodes.InternalName):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.visit(node.node, frame)  # ours, and so safe
        self.write("(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


def _joined(body: Iterable[nodes.Node]) -> list[nodes.Node]:
    """Return nodes such that what is output one after the other is output at once: text that meets is one piece."""
    joined: list[nodes.Node] = []
    for node in body:
        last = joined[-1] if joined else None
        if isinstance(node, nodes.Output) and isinstance(last, nodes.Output):
            joined[-1] = nodes.Output([*last.nodes, *node.nodes])
        else:
            joined.append(node)
    return joined


def _parted(body: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Yield nodes such that each puts out one thing."""
    for node in body:
        if isinstance(node, nodes.Output):
            yield from (nodes.Output([each]) for each in node.nodes)
        else:
            yield node


def _is_plain(node: nodes.Expr) -> bool:
    """Say whether an expression's value is never markup, but a fact or made of one by a filter of ours."""
    return isinstance(node, nodes.Getattr) or (isinstance(node, nodes.Filter) and node.name in _PLAIN_FILTERS)
