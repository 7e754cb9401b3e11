"""Postgres out: every message of the stream REBATES becomes a row of the table rebates, once.

The consumer delivers at least once, and a row's key is the id of the result. A message that comes again
meets its row and changes nothing, so the table has each result once. Messages are acked after the commit.
"""

import asyncio
import os

import nats
import psycopg

TABLE = """CREATE TABLE IF NOT EXISTS rebates (
    id text PRIMARY KEY, subject text NOT NULL, sequence bigint NOT NULL, body jsonb NOT NULL)"""
ROW = "INSERT INTO rebates VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING"


def row(message):
    place = message.metadata
    # A result of a pipeline at least once has an id. One of a job is in its stream once, so its place there
    # is its id; with the time, because a stream that is made anew counts from 1 again.
    stored = f"{place.stream}@{place.timestamp.isoformat()}/{place.sequence.stream}"
    identity = (message.headers or {}).get("Nats-Msg-Id", stored)
    return identity, message.subject, place.sequence.stream, message.data.decode()


async def main():
    connection = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    consumer = await connection.jetstream().pull_subscribe(
        "rebates.>", durable="postgres", stream="REBATES"
    )
    database = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"])
    await database.execute(TABLE)
    await database.commit()
    while True:
        try:
            messages = await consumer.fetch(500, timeout=5)
        except TimeoutError:  # nothing came, or the server is away
            continue
        async with database.transaction(), database.cursor() as cursor:
            await cursor.executemany(ROW, [row(message) for message in messages])
        for message in messages:  # committed; what is not acked comes again
            await message.ack()


if __name__ == "__main__":
    asyncio.run(main())
