"""What the parts of a request have to do with each other, with what is stored, or with the time, which JSON Schema cannot say.

A request that should be taken is brought in line with these rules; one that should be refused is left as it is.
"""

import uuid

import schemathesis

IN_THE_FUTURE = "2099-12-31T23:59:59Z"

# Restaurants as they were last seen, by their ids.
restaurants = {}


@schemathesis.hook
def after_call(context, case, response):
    try:
        seen = response.json()
    except ValueError:
        return
    if isinstance(seen, dict) and "currencyCode" in seen and "restaurantId" in seen:
        restaurants[seen["restaurantId"]] = seen


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query, body = case.query or {}, case.body
    if query.get("pageToken"):
        # Only those that a page gave out.
        query["pageToken"] = ""
    if query.get("updateMask") and not isinstance(body, dict):
        # What is named must be given.
        query["updateMask"] = ""
    if isinstance(body, dict):
        mend = MEND.get(case.operation.label)
        if mend:
            mend(case, body)


def new_order(case, order):
    if isinstance(order.get("validateBy"), str):
        order["validateBy"] = IN_THE_FUTURE
    if order.get("requestId") is not None:
        # One stands for the other.
        (case.headers or {}).pop("Idempotency-Key", None)
    restaurant = restaurants.get(order["restaurantId"])
    items = items_of((restaurant or {}).get("menu"))
    if restaurant and not items:
        # Nothing can be ordered there.
        order["restaurantId"] = str(uuid.uuid4())
    for line in order["lines"] if items else []:
        line["menuItemId"] = items[0]["menuItemId"]


def changed(case, resource):
    if (case.query or {}).get("updateMask"):
        # What is named must be given.
        case.query["updateMask"] = ",".join(name for name, value in resource.items() if value is not None)


def changed_restaurant(case, restaurant):
    changed(case, restaurant)
    in_currency(currency_of(case), [restaurant.get("minimumOrder")])


def new_restaurant(case, restaurant):
    items = items_of(restaurant.get("menu"))
    distinct(items)
    in_currency(restaurant["currencyCode"], [restaurant.get("minimumOrder"), *prices_of(items)])


def new_menu(case, menu):
    items = items_of(menu)
    distinct(items)
    in_currency(currency_of(case), prices_of(items))


MEND = {
    "POST /v1/orders": new_order,
    "PATCH /v1/consumers/{consumerId}": changed,
    "PATCH /v1/restaurants/{restaurantId}": changed_restaurant,
    "POST /v1/restaurants": new_restaurant,
    "PUT /v1/restaurants/{restaurantId}/menu": new_menu,
}


def items_of(menu):
    return (menu or {}).get("items") or []


def prices_of(items):
    return [item["price"] for item in items]


def currency_of(case):
    return restaurants.get(case.path_parameters["restaurantId"], {}).get("currencyCode", "GBP")


def in_currency(currency, amounts):
    """Prices are in the currency of the restaurant, and few enough for a total."""
    for amount in amounts:
        if isinstance(amount, dict):
            amount.clear()
            amount.update({"currencyCode": currency, "units": "5"})


def distinct(items):
    """Ids are unique in a menu."""
    for number, item in enumerate(items):
        item["menuItemId"] = f"{item['menuItemId'][:90]}{number}"
