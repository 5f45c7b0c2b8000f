"""What holds for files of any kind: no stranger's address, no path of one machine, tools that are switched on."""

import re
import tomllib

import yaml

from tests.arch.kit import Findings, Tree, rule, some

# Words of the patterns are joined so that this file does not hold what it looks for.
ADDRESS = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}\b")
EXAMPLE = re.compile(
    r"(?:[@.]example\.(?:com|org|net)|\.(?:example|invalid|test|localhost))$", re.I
)  # RFC 2606
MACHINE = re.compile(r"(?:/home/(?!airflow\b)\w+|/Users/\w+|(?<![\w.])/root/|(?<![\w.])/work/|[A-Z]:\\Users)")
NOT_OURS = ("requirements.txt", "LICENSE")
PLANTED = ("tests/arch/", "tests/docs/")
"""Where the broken trees of these rules stand."""


@rule(
    "core/a.py:1",
    "docs/b.md:2",
    broken={
        "core/a.py": "ADA = 'ada@" + "shop.com'\nBOB = 'bob@example.com'\n",
        "docs/b.md": "hello@juniper.example\nwrite to me.too@" + "mail.example.de\n",
    },
)
def every_address_is_an_example(tree: Tree) -> Findings:
    """No e-mail address outside the domains set aside for examples stands in any file."""
    for place, line in tree.lines([path for path in tree.files if path not in NOT_OURS]):
        for address in ADDRESS.findall(line):
            if not EXAMPLE.search(address):
                yield f"{place} {address.partition('@')[2]} is somebody's domain; use example.com"


@rule(
    "core/a.py:1",
    "docs/b.md:1",
    broken={
        "core/a.py": "HOME = '/home" + "/ada/lapwing'\nPAGES = '/docs/work/x'\n",
        "docs/b.md": "see /wor" + "k/main/README\n/home/airflow is the image's\n",
    },
)
def no_path_of_one_machine(tree: Tree) -> Findings:
    """No file names a folder that exists on one developer's machine only."""
    for place, line in tree.lines([path for path in tree.files if path not in NOT_OURS]):
        if place.startswith(PLANTED):
            continue
        if found := MACHINE.search(line):
            yield f"{place} {found[0]} is a path of one machine"


@rule(
    "requirements.in:2",
    "requirements-peers.txt:1",
    "requirements.txt:1",
    "requirements.txt:5",
    broken={
        "requirements.in": "# why\nelementary-data==0.1\npandas\n",
        "requirements-peers.txt": "rectools==0.19.0\n",
        "requirements.txt": "pandas==3.1.1\n    # via us\nnumpy==2.5 \\\n    --hash=sha256:aa\nduckdb>=1 \\\n    --hash=sha256:ab\n",
    },
)
def what_we_depend_on_is_pinned_and_hashed(tree: Tree) -> Findings:
    """Each line of the lock files is one version with its hashes; no package that was found malicious."""
    for place, line in tree.lines(tree.matching("requirements*.in")):
        if line.startswith("elementary-data"):
            yield f"{place} had a malicious release in 2026"
    for lock in tree.matching("requirements*.txt"):
        lines = tree.text(lock).splitlines()
        names = [(n, line) for n, line in enumerate(lines, 1) if re.match(r"[A-Za-z]", line)]
        some(names, f"requirements in {lock}")
        for number, line in names:
            following = lines[number] if number < len(lines) else ""
            if "==" not in line or "--hash" not in line + following:
                yield f"{lock}:{number} is not pinned by version and hash"


STEP_FILES = ("subject.txt", "body.mjml", "body.txt", "example.json")


@rule(
    "email_templates/restock:0",
    "email_templates/welcome/hello:0",
    "email_templates/nothing:0",
    broken={
        **{f"email_templates/winback/{name}": "" for name in ("campaign.yml", *STEP_FILES)},
        **{f"email_templates/restock/{name}": "" for name in STEP_FILES},
        "email_templates/welcome/campaign.yml": "",
        **{f"email_templates/welcome/hello/{name}": "" for name in STEP_FILES[1:]},
        "email_templates/nothing/campaign.yml": "",
        "email_templates/_base/brand.yml": "",
    },
)
def a_campaign_is_a_folder_with_its_files(tree: Tree) -> Findings:
    """A folder in `email_templates/` has campaign.yml, and in it or in a folder per step subject.txt, body.mjml, body.txt and example.json."""
    paths = tree.matching("email_templates/[a-z]*/*")
    folders = {path.split("/")[1] for path in paths} - {"locales"}
    some(folders, "campaign folders")
    for folder in sorted(folders):
        home = f"email_templates/{folder}"
        if f"{home}/campaign.yml" not in paths:
            yield f"{home}:0 lacks campaign.yml"
        steps = {
            path.rpartition("/")[0] for path in paths if path.startswith(f"{home}/") and path.count("/") > 2
        }
        for step in sorted(steps or {home}):
            missing = [name for name in STEP_FILES if f"{step}/{name}" not in paths]
            if missing:
                yield f"{step}:0 lacks {', '.join(missing)}"


@rule(
    "ml/recommend:0",
    broken={
        "ml/churn/train.py": "",
        "ml/churn/baselines.py": "",
        "ml/recommend/train.py": "",
        "ml/windows.py": "",
    },
)
def a_model_has_its_baselines_beside_it(tree: Tree) -> Findings:
    """Each folder of `ml/` has a `baselines.py`."""
    folders = {path.split("/")[1] for path in tree.matching("ml/*/*.py")}
    some(folders, "folders in ml")
    for folder in sorted(folders):
        if f"ml/{folder}/baselines.py" not in tree.files:
            yield f"ml/{folder}:0 has no baselines.py"


@rule(
    "docker-compose.yml:3",
    "docker-compose.yml:5",
    broken={
        "docker-compose.yml": "services:\n  a:\n    image: redis:latest\n  b:\n    image: redis\n  c:\n    image: redis:8.2\n"
    },
)
def images_have_a_version(tree: Tree) -> Findings:
    """No image of `docker-compose.yml` is called latest, or has no version."""
    images = [
        (place, line) for place, line in tree.lines(["docker-compose.yml"]) if re.match(r"\s*image:", line)
    ]
    some(images, "images in docker-compose.yml")
    for place, line in images:
        version = line.partition("image:")[2].strip().strip("\"'").rpartition("/")[2].partition(":")[2]
        if not version or version.startswith("latest"):
            yield f"{place} the image has no version"


@rule(
    "pyproject.toml:mypy",
    "pyproject.toml:pytest",
    "pyproject.toml:ruff",
    "pyproject.toml:5",
    broken={
        "pyproject.toml": "[tool.mypy]\nstrict = false\n[tool.ruff.lint]\nselect = ['E']\nignore = ['E501']\n"
        "[tool.pytest.ini_options]\nfilterwarnings = ['default']\n",
    },
)
def the_tools_are_switched_on(tree: Tree) -> Findings:
    """mypy is strict, warnings are errors, ruff has the AIR rules, and each exception stands there with its reason."""
    text = tree.text("pyproject.toml")
    tool = tomllib.loads(text).get("tool", {})
    if tool.get("mypy", {}).get("strict") is not True:
        yield "pyproject.toml:mypy is not strict"
    pytest_options = tool.get("pytest", {})
    options = pytest_options.get("ini_options", pytest_options)
    if "error" not in options.get("filterwarnings", []):
        yield "pyproject.toml:pytest lets warnings pass"
    if not {"AIR", "ALL"} & set(tool.get("ruff", {}).get("lint", {}).get("select", [])):
        yield "pyproject.toml:ruff does not run the AIR rules"
    for number in unexplained_exceptions(text):
        yield f"pyproject.toml:{number} switches a rule off without its reason"


def unexplained_exceptions(text: str) -> list[int]:
    """Return the lines that ignore a ruff or sqlfluff rule and have no comment on or above them."""
    found, section, above = [], "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            section = line.strip("[] ")
        codes = re.search(r"""["'][A-Z]{1,4}\d{2,4}["']|exclude_rules""", line)
        ignoring = (
            "per-file-ignores" in section or "ignore" in line.partition("=")[0] or "exclude_rules" in line
        )
        in_list = section == "tool.ruff.lint" and re.match(r"""\s+["'][A-Z]{1,4}\d{2,4}["']""", line)
        if codes and (ignoring or in_list) and "#" not in line and not above.startswith("#"):
            found.append(number)
        above = line.strip()
    return found


@rule(
    "Makefile:check",
    "Makefile:5",
    broken={
        "Makefile": "check: ## Check.\n\truff check .\n\tmypy\n\tpytest tests/arch\nquiet:\n\techo\n.PHONY: check\n"
    },
)
def make_check_runs_every_checker(tree: Tree) -> Findings:
    """`make check` runs ruff, mypy, sqlfluff, tests/arch and tests/docs; every target says what it does (`##`)."""
    makefile = tree.text("Makefile")
    recipe = re.search(r"^check:.*\n((?:\t.*\n|\n)*)", makefile, re.M)
    commands = recipe[1] if recipe else ""
    missing = [
        tool for tool in ("ruff", "mypy", "sqlfluff", "tests/arch", "tests/docs") if tool not in commands
    ]
    if missing:
        yield f"Makefile:check does not run {', '.join(missing)}"
    for number, line in enumerate(makefile.splitlines(), 1):
        if re.match(r"[a-z][\w-]*:(?!=)", line) and "##" not in line:
            yield f"Makefile:{number} the target does not say what it does"


@rule(
    "dbt_project/packages.yml:0",
    "GRAVEYARD:0",
    broken={
        "dbt_project/packages.yml": "",
        "GRAVEYARD": "",
        "dbt_project/dbt_project.yml": "name: lapwing\n",
    },
)
def nothing_stands_here_twice_or_for_nothing(tree: Tree) -> Findings:
    """No dbt packages (our few tests are ten lines each); no folder for what is no longer used."""
    for path in tree.matching("dbt_project/packages.yml", "dbt_project/dependencies.yml"):
        yield f"{path}:0 we use no dbt packages"
    for path in tree.matching("GRAVEYARD*", "*/legacy/*", "*/deprecated/*", "*/archive/*"):
        yield f"{path}:0 what is deleted stays in git's history"


@rule(
    "email_templates/a/campaign.yml:0",
    broken={"email_templates/a/campaign.yml": "a: [1\n", "b.yml": "a: 1\n"},
)
def every_yaml_file_can_be_read(tree: Tree) -> Findings:
    """Every YAML file parses."""
    paths = tree.matching("*.yml", "*.yaml")
    some(paths, "YAML files")
    for path in paths:
        try:
            list(yaml.safe_load_all(tree.text(path)))
        except yaml.YAMLError as error:
            yield f"{path}:0 {str(error).splitlines()[0]}"
