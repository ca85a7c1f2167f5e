"""Reads our own sources: what is asked for before it is used, and who imports TensorRT."""

import ast
from collections.abc import Iterable, Iterator

Known = frozenset[tuple[str, str]]
"""What `hasattr` has said yes to: the object as written in the source, and the name."""

NOTHING: Known = frozenset()


def unguarded(source: str, names: Iterable[str]) -> list[str]:
    """Where one of `names` is reached without a `hasattr` of the same object that said yes.

    Understood are `if`, conditional expressions, `and`, `or`, `not`, and an `if` that leaves early.
    """
    return sorted(_Search(frozenset(names)).block(ast.parse(source).body, NOTHING))


class _Search:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def block(self, statements: Iterable[ast.stmt], known: Known) -> Iterator[str]:
        for statement in statements:
            yield from self.node(statement, known)
            if isinstance(statement, ast.If) and _leaves(statement.body):
                known |= _facts(statement.test, outcome=False)

    def node(self, node: ast.AST, known: Known) -> Iterator[str]:
        match node:
            case ast.If(test=test, body=body, orelse=otherwise):
                yield from self.node(test, known)
                yield from self.block(body, known | _facts(test, outcome=True))
                yield from self.block(otherwise, known | _facts(test, outcome=False))
            case ast.IfExp(test=test, body=yes, orelse=no):
                yield from self.node(test, known)
                yield from self.node(yes, known | _facts(test, outcome=True))
                yield from self.node(no, known | _facts(test, outcome=False))
            case ast.BoolOp(op=operator, values=values):
                for value in values:
                    yield from self.node(value, known)
                    known |= _facts(value, outcome=isinstance(operator, ast.And))
            case _:
                yield from self._plain(node, known)

    def _plain(self, node: ast.AST, known: Known) -> Iterator[str]:
        if isinstance(node, ast.Attribute) and self._is_missed(node, known):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and all(isinstance(each, ast.stmt) for each in value):
                yield from self.block(value, known)
            else:
                for child in _nodes(value):
                    yield from self.node(child, known)

    def _is_missed(self, node: ast.Attribute, known: Known) -> bool:
        return node.attr in self._names and (ast.unparse(node.value), node.attr) not in known


def _nodes(value: object) -> Iterator[ast.AST]:
    values = value if isinstance(value, list) else [value]
    return (each for each in values if isinstance(each, ast.AST))


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _facts(test: ast.expr, *, outcome: bool) -> Known:
    """What is known to be there once `test` has come out so."""
    match test:
        case ast.Call(func=ast.Name("hasattr"), args=[owner, ast.Constant(str(name))]) if outcome:
            return frozenset({(ast.unparse(owner), name)})
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _facts(operand, outcome=not outcome)
        case ast.BoolOp(op=operator, values=values) if isinstance(operator, ast.And) == outcome:
            return NOTHING.union(*(_facts(value, outcome=outcome) for value in values))
        case _:
            return NOTHING


def imports_of_tensorrt(source: str) -> list[str]:
    """Imports of TensorRT, of its lean runtime or of the bare bindings, by statement or by name."""
    return [
        f"line {line}: {name}"
        for line, name in _imported(ast.parse(source))
        if name.split(".")[0].startswith("tensorrt")
    ]


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names)
            case ast.ImportFrom(module=str(name), level=0):
                yield node.lineno, name
            case ast.Call(func=function, args=[ast.Constant(str(name)), *_]):
                if ast.unparse(function).split(".")[-1] in ("import_module", "__import__"):
                    yield node.lineno, name


def parameters_of(source: str, names: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Of each function that is called one of `names`: its parameters, without `self`."""
    wanted = set(names)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name in wanted:
            yield node.name, tuple(each.arg for each in node.args.args)[1:]


def attributes_in(source: str, prefix: str) -> set[str]:
    """Names after a dot that begin with `prefix`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr.startswith(prefix)
    }
