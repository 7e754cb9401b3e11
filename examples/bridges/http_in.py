"""HTTP in: POST /orders/SHOP publishes the body to orders.SHOP.paid, and answers when it is stored.

At least once. A client that gets no answer, or 503, sends the request again with the same
Idempotency-Key; it becomes the message id, so the stream drops the second one within its duplicate window.
"""

import os

import nats
import nats.errors
from aiohttp import web

CONNECTION = web.AppKey("connection", object)


async def connect(app):
    app[CONNECTION] = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    yield
    await app[CONNECTION].drain()


async def post(request):
    shop = request.match_info["shop"]
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise web.HTTPBadRequest(text="the header Idempotency-Key is missing\n")
    stream = request.app[CONNECTION].jetstream()
    try:
        ack = await stream.publish(
            f"orders.{shop}.paid",
            await request.read(),
            timeout=5,
            headers={"Nats-Msg-Id": key},
        )
    except (nats.errors.Error, TimeoutError) as error:  # not known to be stored: the client tries again
        raise web.HTTPServiceUnavailable(text=f"not stored: {error}\n", headers={"Retry-After": "1"})
    return web.json_response({"sequence": ack.seq, "duplicate": bool(ack.duplicate)}, status=202)


app = web.Application(client_max_size=1024 * 1024)
app.cleanup_ctx.append(connect)
# One token of a subject, so that nobody chooses another subject.
app.router.add_post(r"/orders/{shop:[A-Za-z0-9_-]+}", post)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
