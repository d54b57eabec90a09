"""Pages made from templates that lie beside the code that fills them."""

from functools import cache

import jinja2


@cache
def page_template(package: str, name: str) -> jinja2.Template:
    """The template of that name in a package; what it is filled with is text, and no markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
