"""How our Python reads: no clock, no print, no pickle, no swallowed error, no name that says nothing."""

import ast
import re

from tests.arch.kit import OURS, PRODUCT, Findings, Module, Tree, dotted, keywords, rule

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "stuff"}
OLD_AND_NEW = {"old", "new", "legacy", "deprecated", "backup", "copy", "v1", "v2"}
HIDES_PYTHONS_OWN = {"email", "platform", "logging", "types"}

CLOCKS = (
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
    "time.localtime", "time.gmtime", "time.ctime", "Timestamp.now", "Timestamp.today", "Timestamp.utcnow",
)  # fmt: skip
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
RANDOM_SPLITS = {"train_test_split", "KFold", "StratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit"}
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
ADDRESS_FIELDS = {"address", "email", "recipient", "to", "email_address", "mail_to"}


@rule(
    "ml/utils.py:1",
    "ml/features2.py:1",
    "core/old/settings.py:1",
    "core/mail_manager.py:1",
    broken={
        "ml/utils.py": "",
        "ml/features2.py": "",
        "core/old/settings.py": "",
        "core/mail_manager.py": "",
        "core/tokens.py": "",
    },
)
def names_say_what_is_inside(tree: Tree) -> Findings:
    """No module is called utils, helpers, manager, common, old, new or something2."""
    for module in tree.modules(*OURS):
        for part in module.name.split("."):
            words = set(part.split("_"))
            if words & SAYS_NOTHING or part in OLD_AND_NEW or re.fullmatch(r"[a-z_]*[a-z]\d", part):
                yield f"{module.path}:1 {part!r} does not say what is inside"


@rule(
    "email/__init__.py:1",
    "types.py:1",
    broken={"email/__init__.py": "", "types.py": "", "core/logging.py": ""},
)
def no_package_hides_pythons_own(tree: Tree) -> Findings:
    """Nothing at the top is called email, platform, logging or types: it would hide Python's own."""
    for path in tree.matching("*.py"):
        if path.split("/")[0].removesuffix(".py") in HIDES_PYTHONS_OWN:
            yield f"{path}:1 hides a module of Python"


@rule(
    "ml/a.py:3",
    "ml/a.py:4",
    "dags/d.py:2",
    "campaigns/c.py:2",
    broken={
        "ml/a.py": "import time\nfrom datetime import date, datetime\ndatetime.now()\ntime.time()\ntime.monotonic()\n",
        "dags/d.py": "import datetime\nday = datetime.date.today()\n",
        "core/clock.py": "from datetime import datetime\ndatetime.now()\n",
        "campaigns/c.py": "from datetime import date\nseen = list(map(str, [date.today()]))\n",
    },
)
def nobody_asks_the_clock(tree: Tree) -> Findings:
    """Only `core/clock.py` asks what time it is; measuring how long something took is free."""
    for module in tree.modules(*PRODUCT, "dags"):
        if module.path == "core/clock.py":
            continue
        for node in module.walk(ast.Attribute):
            name = dotted(node)
            if name.endswith(CLOCKS) and f".{name}".endswith(tuple(f".{clock}" for clock in CLOCKS)):
                yield f"{module.at(node)} {name} asks the clock; take a date or core.clock.Clock"


@rule(
    "ml/a.py:1",
    broken={"ml/a.py": "print('x')\n", "cli/app.py": "print('x')\n", "scripts/s.py": "print('x')\n"},
)
def print_belongs_to_the_command_line(tree: Tree) -> Findings:
    """`print` stands in `cli/` and `scripts/` only (in tests, ruff asks for a reason)."""
    for module in tree.modules(*PRODUCT, "dags"):
        for call in module.walk(ast.Call):
            if dotted(call.func) == "print" and module.package != "cli":
                yield f"{module.at(call)} prints; log an event or return it"


@rule(
    "ml/a.py:1",
    "ml/a.py:2",
    "campaigns/b.py:2",
    broken={
        "ml/a.py": "import pickle\nfrom joblib import dump\nimport skops.io\n",
        "campaigns/b.py": "import pandas\npandas.DataFrame().to_pickle('x')\n",
    },
)
def nothing_is_pickled(tree: Tree) -> Findings:
    """No pickle, joblib or the like: models are saved with skops, tables as Parquet."""
    for module in tree.modules(*PRODUCT, "dags"):
        for node in module.walk(ast.Import, ast.ImportFrom, ast.Attribute):
            if isinstance(node, ast.Attribute):
                names = ["pickle"] if node.attr in ("to_pickle", "read_pickle") else []
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""]
            if {name.partition(".")[0] for name in names} & PICKLES:
                yield f"{module.at(node)} pickles; what is loaded again could run anything"


@rule(
    "core/a.py:3",
    "core/a.py:15",
    broken={
        "core/a.py": "try:\n    x = 1\nexcept Exception:\n    x = 2\ntry:\n    x = 1\nexcept:\n    raise\n"
        "try:\n    x = 1\nexcept Exception:  # whatever a template raises is the template's fault\n    x = 2\n"
        "try:\n    x = 1\nexcept (KeyError, BaseException):\n    x = 3\n"
        "try:\n    x = 1\nexcept BaseException:\n    undo()\n    raise\n",
    },
)
def a_broad_except_has_its_reason(tree: Tree) -> Findings:
    """`except Exception` (or broader) carries a comment that says why, or raises again what it caught."""
    for module in tree.modules(*PRODUCT, "dags", "scripts"):
        for handler in module.walk(ast.ExceptHandler):
            kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            broad = any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in kinds)
            if broad and not raises_again(handler) and not gives_reason(module, handler):
                yield f"{module.at(handler)} catches everything and does not say why"


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def gives_reason(module: Module, handler: ast.ExceptHandler) -> bool:
    """Tell whether a comment stands on the line of `except`, or between it and its first statement."""
    lines = module.text.splitlines()[handler.lineno - 1 : handler.body[0].lineno]
    return any(has_reason(line) for line in lines)


def has_reason(line: str) -> bool:
    """Tell whether a line has a comment that is more than a switch (`noqa`, `type: ignore`, `pragma`)."""
    comments = line.split("#")[1:]
    return any(len(words(part)) >= 2 and not is_switch(part) for part in comments)


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", text)


def is_switch(comment: str) -> bool:
    return bool(re.match(r"\s*(noqa|type:|pragma|fmt:|nosec)", comment))


@rule(
    "ml/a.py:3",
    broken={
        "ml/a.py": "try:\n    run()\nexcept ValueError as error:\n    log.warning('bad', error=str(error))\n"
        "try:\n    run()\nexcept ValueError:\n    log.warning('bad')\n    raise\n"
        "for x in y:\n    try:\n        run()\n    except ValueError:\n        log.info('bad')\n        continue\n"
        "try:\n    run()\nexcept ValueError:\n    # The reader gets the page all the same.\n    self._log.info('bad')\n",
    },
)
def nothing_is_caught_only_to_be_logged(tree: Tree) -> Findings:
    """A handler that does nothing but log hides the error, unless a comment says why the work must go on."""
    for module in tree.modules(*PRODUCT, "dags", "scripts"):
        for handler in module.walk(ast.ExceptHandler):
            if all(is_log_call(each) for each in handler.body) and not gives_reason(module, handler):
                yield f"{module.at(handler)} catches an error only to log it"


def is_log_call(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and is_logging(statement.value)
    )


def is_logging(call: ast.Call) -> bool:
    owner, _, method = dotted(call.func).rpartition(".")
    return method in LOG_METHODS and owner.rpartition(".")[2].strip("_").lower() in ("log", "logger")


@rule(
    "ml/a.py:2",
    "ml/a.py:3",
    "ml/a.py:4",
    "ml/a.py:6",
    broken={
        "ml/a.py": "log = get_logger(__name__)\nlog.info(f'sent {n}')\nlog.info('sent', address=a)\n"
        "log.info('sent', extra={'email': a})\nlog.info('sent', customer_id=c, sent=3)\nself._logger.error(text)\n",
    },
)
def logs_are_events_without_addresses(tree: Tree) -> Findings:
    """A log call names its event in a plain string; fields follow; no field is an address."""
    for module in tree.modules(*PRODUCT, "dags"):
        for call in module.walk(ast.Call):
            if not is_logging(call):
                continue
            event = call.args[0] if call.args else None
            if not (isinstance(event, ast.Constant) and isinstance(event.value, str)):
                yield f"{module.at(call)} the event is not a plain string; put values into fields"
            for field in log_fields(call) & ADDRESS_FIELDS:
                yield f"{module.at(call)} logs {field!r}, an address"


def log_fields(call: ast.Call) -> set[str]:
    fields = set(keywords(call))
    for value in keywords(call).values():
        if isinstance(value, ast.Dict):
            fields |= {str(key.value) for key in value.keys if isinstance(key, ast.Constant)}
    return fields


@rule(
    "ml/a.py:1",
    "ml/a.py:2",
    "tests/t.py:1",
    broken={
        "ml/a.py": "x = 1  # noqa\ny = z()  # type: ignore[no-untyped-call]\n"
        "q = z()  # type: ignore[no-untyped-call]  # the library has no types\n",
        "tests/t.py": "x = 1  # noqa: E501\ny = 1  # noqa: E501  # a long address\n",
    },
)
def a_switched_off_check_has_its_reason(tree: Tree) -> Findings:
    """`noqa` and `type: ignore` name a code and are followed by the reason (or it stands on the line above)."""
    for module in tree.modules(*OURS):
        if module.package == "tests" and module.path.startswith("tests/arch/"):
            continue  # the broken trees here hold examples of it
        lines = ["", *module.text.splitlines()]
        for number, line in enumerate(lines):
            switch = re.search(r"# (noqa|type: ignore)(:? ?\[?[A-Za-z0-9, -]+\]?)?", line)
            above = lines[number - 1].strip() if number else ""
            if switch and not (switch[2] and (has_reason(line) or above.startswith("#"))):
                yield f"{module.path}:{number} switches a check off without code and reason"


@rule(
    "core/a.py:1",
    "docs/x.md:2",
    "Makefile:1",
    broken={
        "core/a.py": "# TODO mend\n# TODO(#12): mend\n",
        "docs/x.md": "fine\nFIXME later\n",
        "Makefile": "# todo: FIXME\n",
    },
)
def work_left_open_has_an_issue(tree: Tree) -> Findings:
    """TODO and FIXME carry the number of an issue (#12)."""
    exempt = ("tests/arch/", "tests/docs/", "docs/house_rules.md", "pyproject.toml", "CONTRIBUTING.md")
    kinds = (
        "*.py",
        "*.sql",
        "*.yml",
        "*.md",
        "*.toml",
        "*.sh",
        "*.mjml",
        "Makefile",
        "*.css",
        "*.html",
        "*.js",
    )
    for place, line in tree.lines([path for path in tree.matching(*kinds) if not path.startswith(exempt)]):
        if re.search(r"\b(TODO|FIXME|XXX)\b(?!.*#\d)", line):
            yield f"{place} leaves work open without an issue"


@rule(
    "ml/a.py:2",
    "campaigns/b.py:2",
    broken={
        "ml/a.py": "import os\nos.environ['X']\nos.environ['OMP_NUM_THREADS'] = '1'\n",
        "campaigns/b.py": "import os\nos.getenv('X')\n",
        "core/settings.py": "import os\nos.environ.get('X')\n",
        "cli/up.py": "import os\nos.environ | {'AIRFLOW_HOME': 'x'}\n",
    },
)
def settings_are_read_in_one_place(tree: Tree) -> Findings:
    """Only `core/settings.py` reads the environment; others are handed settings (a child process its environment)."""
    for module in tree.modules(*(package for package in PRODUCT if package != "cli"), "dags"):
        if module.path == "core/settings.py":
            continue
        for node in module.walk(ast.Call, ast.Subscript):
            reads = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
            target = node.value if isinstance(node, ast.Subscript) else node.func
            if (reads and dotted(target) == "os.environ") or dotted(target) in (
                "os.getenv",
                "os.environ.get",
            ):
                yield f"{module.at(node)} reads the environment; take a core.settings.Settings"


@rule(
    "campaigns/r.py:1",
    broken={
        "campaigns/r.py": "e = Environment(autoescape=True)\nf = Environment(undefined=StrictUndefined)\n"
    },
)
def an_undefined_name_in_a_template_raises(tree: Tree) -> Findings:
    """Every Jinja environment is made with StrictUndefined."""
    for module in tree.modules(*PRODUCT):
        for call in module.walk(ast.Call):
            if dotted(call.func).endswith("Environment") and "undefined" not in keywords(call):
                yield f"{module.at(call)} renders an undefined name as nothing"


@rule(
    "ml/a.py:1",
    "ml/a.py:2",
    broken={
        "ml/a.py": "from sklearn.model_selection import train_test_split\nx = frame.fillna(0)\n"
        "y = frame.fillna(medians)\n",
    },
)
def time_is_split_by_time_and_gaps_by_rule(tree: Tree) -> Findings:
    """No random split of a question about time; no missing value silently becomes 0."""
    for module in tree.modules("ml"):
        for node in module.walk(ast.ImportFrom):
            if {alias.name for alias in node.names} & RANDOM_SPLITS:
                yield f"{module.at(node)} splits at random; use ml.windows"
        for call in module.walk(ast.Call):
            zero = [arg for arg in call.args if isinstance(arg, ast.Constant) and arg.value == 0]
            if isinstance(call.func, ast.Attribute) and call.func.attr == "fillna" and zero:
                yield f"{module.at(call)} fills what is missing with 0; write the rule beside the feature"


@rule(
    "core/errors.py:8",
    "core/errors.py:1",
    broken={
        "core/errors.py": '"""Family.\n\nLapwingError\n├── GateFailed  a gate\n└── Gone  not there\n"""\n'
        "class LapwingError(Exception): ...\nclass Unlisted(LapwingError): ...\nclass GateFailed(LapwingError): ...\n",
    },
)
def the_tree_of_errors_is_drawn_as_it_is(tree: Tree) -> Findings:
    """The docstring of `core/errors.py` draws every error class, and no other."""
    module = tree.module("core/errors.py")
    drawn = set(
        re.findall(
            r"^\W*([A-Z]\w+) {2,}|^\W*(?:[├└]── )?([A-Z]\w+)$", ast.get_docstring(module.tree) or "", re.M
        )
    )
    names = {first or second for first, second in drawn}
    classes = {node.name: node for node in module.walk(ast.ClassDef)}
    for name in sorted(classes.keys() - names):
        yield f"{module.at(classes[name])} {name} is missing in the drawing"
    for name in sorted(names - classes.keys()):
        yield f"{module.path}:1 {name} is drawn and does not exist"


@rule(
    "ml/a.py:2",
    broken={
        "ml/a.py": "from core.errors import LapwingError\nclass Odd(Exception): ...\nclass Fine(LapwingError): ...\n",
        "core/errors.py": "class LapwingError(Exception): ...\nclass GateFailed(LapwingError): ...\n",
    },
)
def every_error_of_ours_is_in_the_family(tree: Tree) -> Findings:
    """An exception class of ours descends from LapwingError."""
    classes = [(module, node) for module in tree.modules(*PRODUCT) for node in module.walk(ast.ClassDef)]
    family = {node.name for module, node in classes if module.path == "core/errors.py"}
    for _ in classes:  # children of children
        family |= {node.name for _, node in classes if bases(node) & family}
    for module, node in classes:
        if node.name not in family and any(re.search(r"(Exception|Error)$", base) for base in bases(node)):
            yield f"{module.at(node)} {node.name} is no LapwingError"


def bases(node: ast.ClassDef) -> set[str]:
    return {dotted(base).rpartition(".")[2] for base in node.bases}


@rule(
    "campaigns/a.py:1",
    "console/b.py:1",
    broken={
        "campaigns/a.py": "def plan(user_id): ...\n",
        "console/b.py": "item_ids = []\n",
        "ml/recommend/als.py": "def score(user_id, item_id): ...\n",
        "sources/c.py": "customer_id = 1\n",
    },
)
def one_word_per_idea(tree: Tree) -> Findings:
    """Customers and products are *user* and *item* inside recommender arithmetic only."""
    other_word = re.compile(r"^(user|item|client|shopper|buyer|sku|article)_ids?$")
    for module in tree.modules(*PRODUCT, "dags"):
        if module.path.startswith("ml/recommend/"):
            continue
        for node in module.walk(ast.Name, ast.arg):
            name = node.id if isinstance(node, ast.Name) else node.arg
            if other_word.match(name) and (isinstance(node, ast.arg) or isinstance(node.ctx, ast.Store)):
                yield f"{module.at(node)} {name}: we say customer and product"
