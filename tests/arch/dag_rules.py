"""How a DAG file reads: its docstring is its page, its tasks call one function of ours, it decides nothing."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property

from tests.arch.arrows import imported
from tests.arch.kit import OURS, Findings, Module, Tree, dotted, keywords, rule, some

TASK_LINES = 6  # besides its imports
MAY_CALL = {
    "str",
    "int",
    "float",
    "bool",
    "len",
    "sum",
    "dict",
    "list",
    "sorted",
    "date",
    "date.fromisoformat",
}
MAY_IMPORT_TOP = {"airflow", "datetime", "core.orchestration", "collections", "typing", "__future__"}
COUNTS = {"dict[str, str]", "None", "int", "dict[str, int]", "dict[str, float]", "list[str]", "str", "bool"}
COUNTS |= {"list[dict[str, str]]"}  # what a person is asked

PAGE = '"""\n# good\n\nSends.\n\n**When it fails.** docs/runbooks/send_mail.md\n"""\n'
GOOD = (
    PAGE + "from airflow.sdk import dag, task\nfrom core.orchestration import AS_OF, TASK_DEFAULTS, Tier\n"
    "@dag(schedule=None, start_date=1, catchup=False, max_active_runs=1, default_args=TASK_DEFAULTS,"
    " tags=[Tier.INTERNAL], doc_md=__doc__)\n"
    "def good():\n"
    "    @task(retries=0)\n"
    "    def send_mail(as_of: str) -> None:\n"
    "        from campaigns.run import send\n\n"
    "        send(as_of)\n\n"
    "    send_mail(AS_OF)\n\ngood()\n"
)
AROUND = {"campaigns/run.py": "def send(day): ...\n", "docs/runbooks/send_mail.md": "# Send\n"}


@dataclass(frozen=True)
class Dag:
    """One DAG file, its `@dag` function and its tasks."""

    module: Module

    @property
    def dag_id(self) -> str:
        return self.module.path.rpartition("/")[2].removesuffix(".py")

    @property
    def page(self) -> str:
        return ast.get_docstring(self.module.tree) or ""

    @cached_property
    def definition(self) -> tuple[ast.FunctionDef, dict[str, ast.expr]] | None:
        """Return the function under `@dag(...)` and the decorator's arguments."""
        for node in self.module.tree.body:
            if isinstance(node, ast.FunctionDef):
                for call in (each for each in node.decorator_list if isinstance(each, ast.Call)):
                    if dotted(call.func) == "dag":
                        return node, keywords(call)
        return None

    @cached_property
    def tasks(self) -> list[tuple[ast.FunctionDef, dict[str, ast.expr]]]:
        """Return each function under `@task` or `@task(...)`, with the decorator's arguments."""
        found = []
        for node in self.module.walk(ast.FunctionDef):
            for each in node.decorator_list:
                name = dotted(each.func) if isinstance(each, ast.Call) else dotted(each)
                if name.split(".")[0] == "task":
                    found.append((node, keywords(each) if isinstance(each, ast.Call) else {}))
        return found


def dags(tree: Tree) -> list[Dag]:
    found = [Dag(module) for module in tree.modules("dags") if not module.path.endswith("__init__.py")]
    some(found, "DAG files")
    return found


@rule(
    "dags/bare.py:1",
    "dags/named.py:1",
    "dags/named.py:1",
    broken={
        "dags/good.py": GOOD,
        "dags/bare.py": "import airflow\n",
        "dags/named.py": '"""\n# other\n\nNothing.\n"""\n',
    },
)
def dag_files_are_pages(tree: Tree) -> Findings:
    """A DAG file's docstring is its page: it opens with `# <dag_id>` and says what to do when it fails."""
    for dag in dags(tree):
        if not dag.page:
            yield f"{dag.module.path}:1 has no docstring"
            continue
        if dag.page.splitlines()[0] != f"# {dag.dag_id}":
            yield f"{dag.module.path}:1 the docstring does not open with '# {dag.dag_id}'"
        if "When it fails" not in dag.page:
            yield f"{dag.module.path}:1 the docstring does not say what to do when it fails"


@rule(
    "dags/other.py:8",
    "dags/other.py:8",
    "dags/other.py:8",
    "dags/none.py:1",
    broken={
        "dags/good.py": GOOD,
        "dags/other.py": PAGE + "@dag(schedule=None, start_date=1, catchup=True, max_active_runs=1,"
        " default_args={}, tags=[Tier.INTERNAL], doc_md=__doc__)\ndef good(): ...\n",
        "dags/none.py": "x = 1\n",
    },
)
def dags_are_declared_alike(tree: Tree) -> Findings:
    """One DAG a file, called like the file; schedule, start date, no catch-up, one run, our defaults, a tier, its page."""
    wanted = {
        "schedule": lambda text: True,
        "start_date": lambda text: True,
        "catchup": lambda text: text == "False",
        "max_active_runs": lambda text: text in ("1", "ASKED_AT_ONCE"),  # which wait for a person each
        "default_args": lambda text: "TASK_DEFAULTS" in text,
        "tags": lambda text: "Tier." in text,
        "doc_md": lambda text: text == "__doc__",
    }
    for dag in dags(tree):
        if dag.definition is None:
            yield f"{dag.module.path}:1 has no function under @dag(...)"
            continue
        function, given = dag.definition
        where = f"{dag.module.path}:{function.decorator_list[0].lineno}"
        dag_id = ast.unparse(given["dag_id"]).strip("'") if "dag_id" in given else function.name
        if dag_id != dag.dag_id:
            yield f"{where} the DAG is called {dag_id}"
        for key, is_right in wanted.items():
            if key not in given or not is_right(ast.unparse(given[key])):
                yield f"{where} {key} is {ast.unparse(given[key]) if key in given else 'missing'}"


@rule(
    "dags/other.py:1",
    "dags/other.py:2",
    "dags/other.py:4",
    broken={
        "dags/good.py": GOOD,
        "dags/other.py": "from campaigns import run\nimport dags.good\ndef f():\n    from dags import good\n"
        "from core.orchestration import AS_OF\n",
        **AROUND,
    },
)
def dag_files_import_ours_inside_tasks(tree: Tree) -> Findings:
    """Airflow parses the file over and over: at its top stand Airflow and `core.orchestration` only; no DAG another."""
    for dag in dags(tree):
        top = {id(node) for _, node in imported(dag.module, tree, top_level=True)}
        for name, node in imported(dag.module, tree):
            root = name.partition(".")[0]
            if root == "dags":
                yield f"{dag.module.at(node)} imports another DAG file"
            elif id(node) in top and root not in MAY_IMPORT_TOP and name not in MAY_IMPORT_TOP:
                yield f"{dag.module.at(node)} imports {name} outside a task"


@rule(
    "dags/fat.py:5",
    "dags/fat.py:6",
    "dags/fat.py:7",
    "dags/fat.py:8",
    "dags/fat.py:3",
    "dags/fat.py:19",
    broken={
        "dags/good.py": GOOD,
        "dags/fat.py": "def fat():\n    @task\n    def build(as_of: str) -> None:\n        from core.dbt import build\n"
        "        import pandas\n        for x in y:\n            frame(x)\n        open(as_of)\n"
        + "        build(as_of)\n"
        * 5
        + "    @task()\n    def fine(as_of: str) -> int:\n        from core.dbt import build\n        return len(build(as_of))\n"
        "    @task\n    def rows(as_of): ...\n",
        "core/dbt.py": "",
    },
)
def a_task_calls_a_function_of_ours(tree: Tree) -> Findings:
    """A task has at most 6 lines besides its imports, decides nothing, calls only functions of ours, takes a date and returns counts."""
    for dag in dags(tree):
        for task, _ in dag.tasks:
            yield from task_findings(dag.module, task)


def task_findings(module: Module, task: ast.FunctionDef) -> Findings:
    body = task.body[1:] if ast.get_docstring(task) else task.body
    work = [each for each in body if not isinstance(each, ast.Import | ast.ImportFrom)]
    inner = [
        each for block in work for each in ast.walk(block) if isinstance(each, ast.Import | ast.ImportFrom)
    ]
    lines = sum((each.end_lineno or 0) - each.lineno + 1 for each in work)
    lines -= sum((each.end_lineno or 0) - each.lineno + 1 for each in inner) + bool(
        inner
    )  # and the line below them
    if lines > TASK_LINES:
        yield f"{module.at(task)} task {task.name} has {lines} lines"
    untyped = [arg.arg for arg in task.args.args if arg.annotation is None]
    if untyped or ast.unparse(task.returns or ast.Constant("?")) not in COUNTS:
        yield f"{module.at(task)} task {task.name} does not say that it takes a date and returns counts"
    known = {arg.arg for arg in task.args.args} | MAY_CALL
    for node in ast.walk(task):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in {*OURS, "datetime"}:
            known |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield f"{module.at(node)} task {task.name} imports what is not ours"
        elif isinstance(node, ast.For | ast.While | ast.Try | ast.If):
            yield f"{module.at(node)} task {task.name} decides something"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            known.add(node.id)
    for call in (node for node in ast.walk(task) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        in_decorator = any(call is each for each in task.decorator_list)
        if name and not in_decorator and name not in known and name.partition(".")[0] not in known | {""}:
            yield f"{module.at(call)} task {task.name} calls {name}, which is not ours"


@rule(
    "dags/two.py:15",
    "dags/two.py:17",
    "dags/two.py:19",
    broken={
        "dags/good.py": GOOD,
        "dags/two.py": '"""\n# two\n\nWhen it fails:\n\n- `build`,\n  `check`: docs/runbooks/features.md\n- `plan`: docs/runbooks/gone.md\n'
        '- `score`: see `check`\n"""\n@task\ndef build(): ...\n@task\ndef check(): ...\n@task\ndef plan(): ...\n'
        "@task\ndef score(): ...\n@task\ndef send_mail(): ...\n",
        "docs/runbooks/features.md": "# Features\n",
        **AROUND,
    },
)
def every_task_has_its_runbook(tree: Tree) -> Findings:
    """The DAG's page names, in one item of its list, the task and a runbook that exists; or the runbook is the DAG's own."""
    for dag in dags(tree):
        items = re.split(r"\n(?:[-*] |\n)", dag.page)
        for task, _ in dag.tasks:
            beside = [item for item in items if f"`{task.name}`" in item]
            runbooks = re.findall(r"docs/runbooks/\w+\.md", " ".join(beside))
            if f"docs/runbooks/{task.name}.md" in dag.page:
                runbooks.append(f"docs/runbooks/{task.name}.md")
            if not any(runbook in tree.files for runbook in runbooks):
                yield f"{dag.module.at(task.decorator_list[0])} task {task.name} has no runbook on the DAG's page"


@rule(
    "dags/a.py:2",
    "dags/a.py:8",
    broken={
        "dags/a.py": "def a():\n    @task\n    def build():\n        from ml.run import build\n"
        "    @task(pool=WAREHOUSE_POOL)\n    def plan():\n        from ml.run import build\n"
        "    @task\n    def load():\n        from ml.run import Loader\n"
        "    @task\n    def score():\n        from ml.run import score\n",
        "ml/run.py": "from core import dbt\nfrom core.files import open_file\n\ndef build():\n    dbt.build()\n"
        "class Loader:\n    def load(self):\n        return open_file\ndef score():\n    return rows()\ndef rows(): ...\n",
        "core/dbt.py": "def build():\n    from dbt.cli.main import dbtRunner\n    dbtRunner()\n",
        "core/files.py": "def open_file(settings):\n    return settings.warehouse\n",
    },
)
def who_opens_the_warehouse_waits_in_its_pool(tree: Tree) -> Findings:
    """A task whose functions, or those they name, run dbt or open the warehouse's file is in the pool of one slot."""
    for dag in dags(tree):
        for task, given in dag.tasks:
            start = list(bindings(task).values())
            in_pool = "WAREHOUSE_POOL" in ast.unparse(given.get("pool", ast.Constant("")))
            if opens_warehouse(tree, start) and not in_pool:
                where = dag.module.at(task.decorator_list[0])
                yield f"{where} task {task.name} opens the warehouse outside its pool"


def bindings(block: ast.AST) -> dict[str, tuple[str, str]]:
    """Return name -> (module, name there) of what a block of code imports by name."""
    imports = (node for node in ast.walk(block) if isinstance(node, ast.ImportFrom))
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in imports
        for alias in node.names
    }


def opens_warehouse(tree: Tree, start: list[tuple[str, str]]) -> bool:
    """Tell whether dbt or the attribute `warehouse` is met on the way from (module, name) through what each names."""
    by_name = {module.name: module for module in tree.all_modules.values()}
    waiting, seen = list(start), set(start)
    while waiting:
        module_name, name = waiting.pop()
        if module_name.partition(".")[0] == "dbt":
            return True
        if f"{module_name}.{name}" in by_name:  # a module of ours, imported whole: whatever it holds
            found = [
                (f"{module_name}.{name}", each) for each in definitions(by_name[f"{module_name}.{name}"])
            ]
        elif module_name in by_name and name in definitions(by_name[module_name]):
            block = definitions(by_name[module_name])[name]
            if any(isinstance(node, ast.Attribute) and node.attr == "warehouse" for node in ast.walk(block)):
                return True
            found = named_in(by_name[module_name], block)
        else:
            continue
        waiting += [each for each in found if each not in seen]
        seen.update(found)
    return False


def definitions(module: Module) -> dict[str, ast.AST]:
    """Return the functions and classes at the top of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: node for node in module.tree.body if isinstance(node, kinds)}


def named_in(module: Module, block: ast.AST) -> list[tuple[str, str]]:
    """Return (module, name) of each function and class that a block of a module names."""
    known = (
        {name: (module.name, name) for name in definitions(module)} | bindings(module.tree) | bindings(block)
    )
    return [known[node.id] for node in ast.walk(block) if isinstance(node, ast.Name) and node.id in known]


@rule(
    "dags/a.py:1",
    "dags/a.py:3",
    broken={
        "dags/a.py": "@task\ndef check_plan(): ...\n@task(retries=2)\ndef send(): ...\n@task\ndef score(): ...\n"
    },
)
def gates_and_sends_are_not_retried(tree: Tree) -> Findings:
    """A gate that is red stays red, and nothing loops round a batch of sends: `retries=0`."""
    for dag in dags(tree):
        for task, given in dag.tasks:
            retries = ast.unparse(given["retries"]) if "retries" in given else "the default"
            if re.match(r"(check|gate|audit|publish|send|dispatch|render)", task.name) and retries != "0":
                yield f"{dag.module.at(task.decorator_list[0])} task {task.name} retries {retries}"
