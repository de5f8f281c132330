"""A shop system nobody here wrote: django-oscar with its own models and templates, filled and served on 127.0.0.1.

    python tests/shops/oscar_shop.py FOLDER [LANGUAGE]

FOLDER gets the database, `products.jsonl` (the truth: path, title, price or null) and `requests.log` (a line for
every request that was answered). The port is printed once it listens.
"""

import json
import random
import sys
from decimal import Decimal
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
import oscar
from django.conf import settings
from django.urls import include, path
from oscar import defaults

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oscar.apps.basket.middleware.BasketMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
]
CONTEXT = [
    "django.template.context_processors.request",
    "django.template.context_processors.i18n",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "oscar.apps.search.context_processors.search_form",
    "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications",
    "oscar.core.context_processors.metadata",
]
CATEGORIES = {
    "茶叶": ["乌龙茶", "白茶", "红茶"],
    "干货": ["菌菇", "笋干"],
    "厨房用品": ["锅具", "刀具", "餐具"],
    "图书": [],
}
PRODUCTS = 204
LABELS = (  # apps with tables
    *("address", "admin", "analytics", "auth", "basket", "catalogue", "checkout", "communication"),
    *("contenttypes", "customer", "flatpages", "offer", "order", "partner", "payment", "reviews", "search"),
    *("sessions", "shipping", "sites", "voucher", "wishlists"),
)


def configure(folder: Path, language: str) -> None:
    own = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
    settings.configure(
        **own
        | {
            "OSCAR_SHOP_NAME": "三明土产商店",
            "OSCAR_DEFAULT_CURRENCY": "CNY" if language == "zh-hans" else "GBP",
        },
        SECRET_KEY="for a test",
        ALLOWED_HOSTS=["127.0.0.1"],
        SITE_ID=1,
        ROOT_URLCONF=__name__,
        LANGUAGE_CODE=language,
        LANGUAGES=[("zh-hans", "简体中文"), ("en-gb", "English")],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "shop.sqlite3"}},
        INSTALLED_APPS=oscar.INSTALLED_APPS,
        MIDDLEWARE=MIDDLEWARE,
        MIGRATION_MODULES=dict.fromkeys(LABELS),  # tables made at once, as the models stand
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": CONTEXT},
            }
        ],
        HAYSTACK_CONNECTIONS={
            "default": {
                "ENGINE": "haystack.backends.whoosh_backend.WhooshEngine",
                "PATH": str(folder / "index"),
            }
        },
        STATIC_URL="/static/",
        MEDIA_URL="/media/",
        MEDIA_ROOT=folder / "media",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        LOGGING_CONFIG=None,
    )
    django.setup()


def fill(folder: Path) -> None:
    """Products standing alone, with variants of several prices, out of stock, without a price, in two categories."""
    from django.core.management import call_command
    from django.db import transaction
    from oscar.apps.catalogue.categories import create_from_breadcrumbs
    from oscar.apps.catalogue.models import Product, ProductCategory, ProductClass
    from oscar.apps.partner.models import Partner, StockRecord
    from oscar.apps.partner.strategy import Selector

    call_command("migrate", run_syncdb=True, verbosity=0)
    rng = random.Random(20261123)
    with transaction.atomic():
        kind = ProductClass.objects.create(name="土产", requires_shipping=True)
        partner = Partner.objects.create(name="三明供销社")
        names = [f"{top} > {sub}" for top, subs in CATEGORIES.items() for sub in subs or [""]]
        categories = [create_from_breadcrumbs(name.removesuffix(" > ")) for name in names]

        def stock(product: Product, price: Decimal, left: int = 10) -> None:
            currency = settings.OSCAR_DEFAULT_CURRENCY
            facts = {"price_currency": currency, "price": price, "num_in_stock": left}
            StockRecord.objects.create(product=product, partner=partner, partner_sku=product.upc, **facts)

        for i in range(PRODUCTS):
            category = categories[i % len(categories)]
            place, size = (
                rng.choice(["沙县", "泰宁", "将乐", "Youxi"]),
                rng.choice(["礼盒装", "500g", "家用", "（2026年新货）"]),
            )
            title = f"{place}{category.name}{size} 第{i:03}号"
            price = Decimal(rng.randrange(100, 2_000_000)) / 100
            shape = "parent" if i % 40 == 7 else "standalone"
            product = Product.objects.create(
                title=title,
                product_class=kind,
                upc=f"SM{i:05}",
                structure=shape,
                description=f"<p>产自{place}，净含量见包装，满 {i} 元减 5 元。</p>",
            )
            for home in {category, rng.choice(categories)} if i % 5 == 0 else {category}:
                ProductCategory.objects.create(product=product, category=home)
            if shape == "parent":
                for n in range(3):
                    child = Product.objects.create(
                        title=f"{title} 规格{n}", upc=f"SM{i:05}-{n}", structure="child", parent=product
                    )
                    stock(child, price + n)
            elif i % 31 != 13:
                stock(product, price, left=0 if i % 17 == 3 else 10)
    call_command("update_index", verbosity=0)
    strategy = Selector().strategy()
    with (folder / "products.jsonl").open("w") as truth:
        for product in Product.objects.all():
            fetch = strategy.fetch_for_parent if product.is_parent else strategy.fetch_for_product
            shown = fetch(product).price
            price = str(shown.incl_tax) if shown.exists else None
            one = {"path": product.get_absolute_url(), "title": product.get_title(), "price": price}
            truth.write(json.dumps(one, ensure_ascii=False) + "\n")


def patterns() -> list:
    from django.apps import apps

    shop = include(apps.get_app_config("oscar").urls[0])
    return [path("i18n/", include("django.conf.urls.i18n")), path("", shop)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        pass


def serve(folder: Path) -> None:
    from django.core.wsgi import get_wsgi_application

    shop = get_wsgi_application()
    log = (folder / "requests.log").open("a", buffering=1)

    def counted(environ, start_response):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        log.write(f"{environ['PATH_INFO']}{query}\n")
        return shop(environ, start_response)

    with make_server("127.0.0.1", 0, counted, Server, Handler) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    home = Path(sys.argv[1])
    configure(home, *sys.argv[2:] or ["zh-hans"])
    urlpatterns = patterns()
    if not (home / "products.jsonl").exists():
        fill(home)
    serve(home)
