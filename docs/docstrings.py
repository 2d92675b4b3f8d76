"""Turns the docstrings of tfar, which are plain text with Markdown's code spans, into the reStructuredText of Sphinx.

Names of public objects in code spans become links, other code spans become literals, and indented equations become
literal blocks. A public object that no page of the reference documents is a warning.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from sphinx.util import logging

import tfar

MODULES = (
    "data",
    "distributions",
    "heads",
    "laws",
    "layers",
    "masks",
    "networks",
    "orders",
    "plots",
    "random",
    "serving",
    "serving.beam",  # not in `tfar.serving.__all__`, because it needs an extra
    "tables",
    "testing",
    "training",
)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Example|References|Notes|Input shape|Output shape):\s*")
SPECIAL = re.compile(r"([*|\\]|(?<=\w)_(?=[\s\"')\]}>/:.,;!?-]|$))")

# Public classes, and the target of each name that a code span may hold: full names, and short names of classes.
PUBLIC: set[type] = set()
NAMES: dict[str, str] = {}
ATTRIBUTES: dict[str, list[str]] = {}


def connect(app: Any) -> None:
    """Registers the handlers of this module. They run before those of the extension napoleon, which reads sections."""
    for path, thing in _public_objects():
        target = re.sub(r"^tfar\.distributions\.", "tfar.", path)
        NAMES[path] = NAMES[target] = target
        if inspect.isclass(thing):
            PUBLIC.add(thing)
            NAMES.setdefault(path.rpartition(".")[2], target)
            NAMES.update({f"{target}.{name}": f"{target}.{name}" for name in _own_methods(thing)})
    app.connect("autodoc-process-docstring", process_docstring, priority=100)
    app.connect("autodoc-process-docstring", restore_attribute, priority=900)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-bases", process_bases)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("env-check-consistency", check_complete)


def _public_objects() -> Iterator[tuple[str, object]]:
    for name in MODULES:
        module = importlib.import_module(f"tfar.{name}")
        for member, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__ and not member.startswith("_")
            if own or member in getattr(module, "__all__", ()):
                yield f"tfar.{name}.{member}", thing


def _own_methods(thing: type) -> Iterator[str]:
    """Yields the public methods with a docstring, without those that TensorFlow Probability adds to its subclasses."""
    for name, member in vars(thing).items():
        if name[0] != "_" and inspect.isfunction(member) and member.__doc__ and member.__module__.startswith("tfar"):
            yield name


def check_complete(app: Any, env: Any) -> None:
    """Warns of public objects without an entry in the reference; `make docs` turns warnings into errors."""
    for name in undocumented(set(env.domains["py"].objects)):
        logging.getLogger(__name__).warning("no page of docs/reference documents %s", name)


def undocumented(documented: set[str]) -> list[str]:
    """Returns the public modules, objects and methods that are not among the documented ones."""
    return sorted({*NAMES.values(), *(f"tfar.{name}" for name in (*tfar.__all__, *MODULES))} - documented)


def process_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, result: str
) -> tuple[str, str] | None:
    """Returns the arguments of `__init__` in place of those of a `__new__` that only notes them, and none of Keras's own."""
    if what == "class" and str(getattr(obj.__init__, "__module__", "")).startswith("keras."):
        return "()", ""
    if what != "class" or signature != "(*args, **kwargs)" or obj.__init__ is object.__init__:
        return None
    _, *parameters = inspect.signature(obj.__init__).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain)), ""


def process_bases(app: Any, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Replaces private base classes by their nearest public ancestor, or by that of another package."""
    shown = [_public_ancestor(base) for base in bases if inspect.isclass(base)]
    bases[:] = list(dict.fromkeys(shown))


def _public_ancestor(base: type) -> type:
    return next(c for c in base.__mro__ if c in PUBLIC or not c.__module__.startswith("tfar"))


def skip_member(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out the members that a class inherits from another package."""
    owner = getattr(obj.fget if isinstance(obj, property) else obj, "__module__", None)
    return True if isinstance(owner, str) and not owner.startswith("tfar") else None


def process_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrites the lines of a docstring in place."""
    lines[:] = _literal_blocks([_inline(line, name) for line in _joined(list(_tables(lines)))])
    if what in ("attribute", "data", "property"):
        ATTRIBUTES[name] = list(lines)


def restore_attribute(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Undoes what napoleon does to attributes: it takes the first line up to a colon for a type."""
    lines[:] = ATTRIBUTES.pop(name, lines)


def _tables(lines: list[str]) -> Iterator[str]:
    """Replaces the tables of Markdown by those of reStructuredText."""
    inside = False
    for line in lines:
        row = line.strip()
        if not (row.startswith("|") and row.endswith("|")):
            inside = False
            yield line
            continue
        if not inside:
            yield from (".. list-table::", "   :header-rows: 1", "")
            inside = True
        if set(row) - set("|-: "):
            first, *others = (cell.strip() for cell in row.strip("|").split(" | "))
            yield from (f"   * - {first}", *(f"     - {cell}" for cell in others))


def _joined(lines: list[str]) -> Iterator[str]:
    """Yields the lines, with code spans and lists of arguments that were broken over two lines on one of them."""
    waiting = ""
    for line in lines:
        line = f"{waiting} {line.strip()}" if waiting else line
        in_span = line.count("`") % 2 == 1 and ">>>" not in line
        in_names = re.fullmatch(r"    (\w+, ?)+", line) is not None
        waiting = line if in_span or in_names else ""
        if not waiting:
            yield line
    if waiting:
        yield waiting


def _inline(line: str, owner: str) -> str:
    """Converts the code spans of a line and escapes the characters that have a meaning between them."""
    if line.lstrip().startswith((">>>", "...", "*", "..")):
        return line
    parts = SPAN.split(line)
    texts = [SPECIAL.sub(r"\\\1", text) for text in parts[::2]]
    spans = [_span(span, owner) for span in parts[1::2]]
    return "".join(text + span for text, span in zip(texts, [*spans, ""], strict=True))


def _span(text: str, owner: str) -> str:
    """Returns a link, if the text names a public object or a method of the same class, or else a literal."""
    target = NAMES.get(text) or NAMES.get(f"{owner}.{text}") or NAMES.get(f"{owner.rpartition('.')[0]}.{text}")
    if target is None or target == owner:
        return f"``{text}``"
    return f":py:obj:`{text} <{target}>`"


def _literal_blocks(lines: list[str]) -> list[str]:
    """Marks indented blocks as literal, outside of sections and inside of those that hold text: they are equations."""
    result: list[str] = []
    section, block = "", False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line and indent == 0:
            section = match[1] if (match := SECTION.fullmatch(line)) else ""
        base = 4 if section else 0
        if line.strip() and indent <= base:
            block = False
        elif line.strip() and not block and section in ("", "Notes", "Returns"):
            block = indent >= base + 4 and not (result and result[-1].strip()) and ">>>" not in line
            result += [" " * base + "::", ""] if block else []
        result.append(_unescaped(line) if block else line)
    return result


def _unescaped(line: str) -> str:
    return re.sub(r"\\([*|\\_])", r"\1", line).replace("``", "`")
