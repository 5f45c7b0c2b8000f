"""Shopify's own CSV exports of customers, orders and products.

What makes them a case of their own: an order stands on as many rows as it has lines, most of its values on the first only;
it names its customer by address; a discount is given for the whole order; a product's title stands on the first of its
variants. Not taken: cancelled and voided orders, and orders of nobody in the customers' export. There are no returns:
`Refunded Amount` says neither when nor what came back.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from sources.arrivals import Batch
from sources.cells import moment_in_utc
from sources.contract import contracts
from sources.mapping import ShopifyFiles, Table
from sources.shop_files import digest_of, opened

Names = dict[str, tuple[str, ...]]

# Our word, then Shopify's, old and new. The first that the file has counts.
CUSTOMERS: Names = {
    "customer_id": ("Customer ID",),
    "email": ("Email",),
    "first_name": ("First Name",),
    "accepts": ("Accepts Email Marketing", "Accepts Marketing"),
    "country_code": ("Default Address Country Code", "Country Code"),
}
ORDERS: Names = {
    "name": ("Name",),
    "email": ("Email",),
    "created_at": ("Created at",),
    "quantity": ("Lineitem quantity",),
    "product_name": ("Lineitem name",),
    "price": ("Lineitem price",),
    "sku": ("Lineitem sku",),
    "line_discount": ("Lineitem discount",),
    "subtotal": ("Subtotal",),
    "discount": ("Discount Amount",),
    "status": ("Financial Status",),
    "cancelled_at": ("Cancelled at",),
    "location": ("Location",),
}
PRODUCTS: Names = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "price": ("Variant Price", "Price"),
    "sku": ("Variant SKU", "SKU"),
    "cost": ("Cost per item",),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "vendor": ("Vendor",),
    "category": ("Product Category", "Product category"),
    "type": ("Type",),
    "status": ("Status",),
    "option1": ("Option1 Value", "Option1 value"),
    "option2": ("Option2 Value", "Option2 value"),
    "option3": ("Option3 Value", "Option3 value"),
}
NEEDED = {
    "customer_id",
    "email",
    "accepts",
    "name",
    "created_at",
    "quantity",
    "product_name",
    "price",
    "handle",
    "title",
}

Fill = Callable[[duckdb.DuckDBPyConnection], str]


def shopify_batches(folder: Path, said: ShopifyFiles, zone: str, *, limit: int | None = None) -> list[Batch]:
    """Return the batches of a shop's exports: orders, their lines, customers, consents, products, prices.

    Raises
    ------
    ContractBroken
        If an export is missing.
    """
    from sources.shop_import import files_of

    exports = {
        "customers": files_of(folder, "customers", said.customers),
        "orders": files_of(folder, "orders", said.orders),
        "products": files_of(folder, "products", said.products),
    }
    make = partial(_batch, exports=exports, zone=zone, limit=limit)
    return [
        make("orders", ("customers", "orders"), _orders),
        make("order_lines", ("customers", "orders"), _order_lines),
        make("customers", ("customers",), _customers),
        make("consents", ("customers",), _consents, volatile=frozenset({"decided_at"})),
        make("products", ("customers", "orders", "products"), _products),
        make("prices", ("products",), _prices, volatile=frozenset({"valid_from"})),
    ]


def _batch(
    table: str,
    kinds: tuple[str, ...],
    rows: Callable[[str], str],
    *,
    exports: dict[str, list[Path]],
    zone: str,
    limit: int | None,
    volatile: frozenset[str] = frozenset(),
) -> Batch:
    """Return the batch of a table that is made of all files of some kinds of export."""
    from sources.shop_import import file_time

    paths = [path for kind in kinds for path in exports[kind]]
    changed = max(file_time(path) for path in paths)
    digest = hashlib.sha256(" ".join([zone, *(digest_of(path) for path in paths)]).encode()).hexdigest()[:16]

    def fill(db: duckdb.DuckDBPyConnection) -> int:
        db.execute("create or replace temp table faults (source_row bigint, fault varchar)")
        for kind in kinds:
            _read(db, kind, exports[kind], zone, limit)
        left_out = _left_out(db) if table == "orders" else 0
        names = [column.name for column in contracts()[table].columns]
        query = rows(f"timestamp '{changed}'::varchar")
        have = {row[0] for row in db.sql(f"describe {query}").fetchall()}
        listed = ", ".join(name if name in have else f"null::varchar as {name}" for name in names)
        db.execute(f"create or replace temp table mapped as select {listed}, source_row from ({query})")
        db.execute("create or replace temp table unreadable as from faults")
        return left_out

    return Batch(contracts()[table], f"shopify_{table}", digest, changed, fill, volatile)


def _read(db: duckdb.DuckDBPyConnection, kind: str, paths: list[Path], zone: str, limit: int | None) -> None:
    """Make the table `<kind>` of all its files, in our words; then what the other tables need of it."""
    wanted = {"customers": CUSTOMERS, "orders": ORDERS, "products": PRODUCTS}[kind]
    db.execute(
        f"create or replace temp table {kind} (source_row bigint, {', '.join(f'{n} varchar' for n in wanted)})"
    )
    for path in paths:
        with opened(db, path, Table(files=(path.name,), columns={}), limit=limit) as file:
            cells = []
            for name, theirs in wanted.items():
                found = next((file.columns[each] for each in theirs if each in file.columns), None)
                if found is None and name in NEEDED:
                    raise ContractBroken(
                        f"{path.name} is no export of {kind} from Shopify: it has no column {theirs[0]!r}"
                    )
                cells.append(found.text if found else "null")
            before = f"(select coalesce(max(source_row), 0) from {kind})"
            db.execute(f"insert into {kind} select source_row + {before}, {', '.join(cells)} from shop")
            db.execute("insert into faults select source_row + 1000000000, fault from unreadable")
    {"customers": _join_customers, "orders": _join_orders, "products": _join_products}[kind](db, zone)


def _join_customers(db: duckdb.DuckDBPyConnection, _zone: str) -> None:
    # Shopify writes an apostrophe before a number, so that a spreadsheet does not round it.
    db.execute(
        """update customers set customer_id = ltrim(customer_id, '''');
        create or replace temp table by_address as
        select lower(email) as email, arg_min(customer_id, source_row) as customer_id
        from customers where email is not null and customer_id is not null group by all"""
    )


def _join_orders(db: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Make `heads` (a row per order) and `lines` (a row per line, with its share of the order's discount)."""
    first = [
        name
        for name in ORDERS
        if name not in ("name", "quantity", "product_name", "price", "sku", "line_discount")
    ]
    values = ", ".join(f"arg_min({name}, source_row) filter ({name} is not null) as {name}" for name in first)
    amounts = "try_cast(price as decimal(18, 4)) * try_cast(quantity as integer)"
    db.execute(
        f"""
        update orders set name = filled.name
        from (select source_row, last_value(name ignore nulls) over (order by source_row) as name from orders) as filled
        where orders.source_row = filled.source_row and orders.name is null;

        create or replace temp table heads as
        select whole.* replace ({moment_in_utc("whole.created_at", ("%Y-%m-%d %H:%M:%S %z",), zone)} as created_at),
            by_address.customer_id
        from (select name, min(source_row) as source_row, {values} from orders group by name) as whole
        left join by_address on lower(whole.email) = by_address.email;

        create or replace temp table lines as
        with priced as (
            select orders.*, heads.subtotal as order_subtotal, heads.discount as order_discount, {amounts} as amount,
                coalesce(try_cast(line_discount as decimal(18, 4)), 0) as own_discount,
                row_number() over (partition by orders.name order by orders.source_row) as line_number
            from (from orders where product_name is not null or sku is not null) as orders join heads on orders.name = heads.name
        ),
        summed as (
            select *, sum(amount - own_discount) over (partition by name) as order_amount from priced
        )
        select *, greatest(0, coalesce(order_amount - try_cast(order_subtotal as decimal(18, 4)),
            try_cast(order_discount as decimal(18, 4)), 0)) as rest
        from summed"""
    )


def _join_products(db: duckdb.DuckDBPyConnection, _zone: str) -> None:
    """Make `variants`: a row for each that can be bought, with its product's title."""
    down = ("title", "vendor", "category", "type", "status")
    filled = ", ".join(
        f"last_value({name} ignore nulls) over (partition by handle order by source_row) as {name}"
        for name in down
    )
    db.execute(
        f"""create or replace temp table variants as
        with whole as (select * replace ({filled}) from products),
        named as (
            select *, nullif(nullif(concat_ws(' / ', option1, option2, option3), 'Default Title'), '') as variant
            from whole where price is not null
        )
        select *, coalesce(sku, concat_ws(' - ', title, variant)) as product_id from named
        qualify row_number() over (partition by product_id order by source_row) = 1"""
    )


IS_TAKEN = "cancelled_at is null and coalesce(lower(status), '') != 'voided' and customer_id is not null"


def _left_out(db: duckdb.DuckDBPyConnection) -> int:
    return int(db.sql(f"select count(*) from heads where not ({IS_TAKEN})").fetchall()[0][0])


def _orders(_changed: str) -> str:
    return f"""select name as order_id, customer_id, location as store_id, created_at as ordered_at, source_row
        from heads where {IS_TAKEN}"""


def _order_lines(_changed: str) -> str:
    """Share what is left of the discount by amount; an amount that is no number stays as it is, to be rejected."""
    share = "case when order_amount > 0 then rest * (amount - own_discount) / order_amount else 0 end"
    return f"""select lines.name as order_id, line_number::varchar as line_number,
            coalesce(sku, product_name) as product_id, quantity,
            coalesce(amount::decimal(18, 4)::varchar, concat_ws(' x ', price, quantity)) as list_amount,
            coalesce(least(own_discount + {share}, amount)::decimal(18, 4)::varchar, line_discount, '0') as discount_amount,
            lines.source_row
        from lines semi join (from heads where {IS_TAKEN}) as heads on lines.name = heads.name"""


def _customers(_changed: str) -> str:
    return "select customer_id, email, first_name, country_code, source_row from customers"


def _consents(changed: str) -> str:
    """The export says how things stand, not since when: the decision counts from the day of the export."""
    return f"""select customer_id, 'marketing' as purpose, case lower(accepts) when 'yes' then 'true' when 'no' then 'false'
            else accepts end as is_given, 'import' as proof, {changed} as decided_at, source_row
        from customers"""


def _products(_changed: str) -> str:
    """Return the variants, and what orders name beside them; neither that nor a draft has a name to recommend it by."""
    name = "case when coalesce(lower(status), 'active') = 'active' then title end"
    return f"""select product_id, {name} as name, coalesce(type, split_part(category, ' > ', 1)) as category,
            list_last(string_split(category, ' > ')) as subcategory, vendor as brand, variant as size,
            cost as unit_cost_amount, source_row
        from variants
        union all
        select coalesce(sku, product_name), null, null, null, null, null, null, min(source_row) + 2000000000
        from lines where coalesce(sku, product_name) not in (select product_id from variants) group by all"""


def _prices(changed: str) -> str:
    regular = "case when try_cast(compare_at as decimal(18, 4)) > try_cast(price as decimal(18, 4)) then compare_at end"
    return f"""select product_id, price as price_amount, {regular} as list_price_amount, {changed} as valid_from, source_row
        from variants"""
