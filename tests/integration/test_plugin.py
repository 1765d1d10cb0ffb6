"""What `GET /plugins/drip.js` serves."""

from dataclasses import replace

from flask.testing import FlaskClient

from app.config.settings import Settings
from tests.support.flask_app import app_over
from tests.support.segment_webhooks import SECRET


def test_any_page_may_load_the_plugin_and_caches_it(settings: Settings) -> None:
    with app_over(replace(settings, segment_webhook_secrets=(SECRET,))) as app:
        client = app.test_client()
        answer = client.get("/plugins/drip.js")
        assert answer.status_code == 200
        assert answer.content_type == "text/javascript; charset=utf-8"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
        assert _again(client, answer.headers["ETag"]) == 304
        assert _again(client, '"another"') == 200


def _again(client: FlaskClient, etag: str) -> int:
    return client.get("/plugins/drip.js", headers={"If-None-Match": etag}).status_code


def test_without_the_direction_there_is_no_plugin(settings: Settings) -> None:
    with app_over(settings) as app:
        assert app.test_client().get("/plugins/drip.js").status_code == 404
