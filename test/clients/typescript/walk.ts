// What an application does first, with the client that openapi-typescript and openapi-fetch make of the document: read, search, walk
// pages, rate and take it back, ask again without being told the same twice, and read what is wrong. It ends with an exit
// code that is not 0 where something is not as the document has it. The types are checked by tsc, strictly.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Movie = components["schemas"]["Movie"];

const base = process.argv[2];
assert(base, "usage: node walk.js http://HOST:PORT");
const client = createClient<paths>({ baseUrl: base });

async function read(): Promise<void> {
  const { data, error, response } = await client.GET("/v1/movies/{id}", { params: { path: { id: "tt0133093" } } });
  assert(data, `read: ${response.status} ${error?.detail}`);
  const movie: Movie = data;
  assert.equal(movie.title, "The Matrix");
  assert.equal(movie.year, 1999);
  assert.equal(movie.ratingSummary?.histogram.length, 10);

  const etag = response.headers.get("ETag");
  assert(etag, "a movie has an ETag");
  const again = await client.GET("/v1/movies/{id}", {
    params: { path: { id: "tt0133093" }, header: { "If-None-Match": etag } },
  });
  assert.equal(again.response.status, 304);
}

async function search(): Promise<void> {
  const { data, error } = await client.GET("/v1/movies:search", { params: { query: { q: "matirx", page_size: 5 } } });
  assert(data, error?.detail);
  const hit = data.hits[0];
  assert.equal(hit?.movie.title, "The Matrix");
  assert.equal(hit.titlePieces.map((piece) => piece.text).join(""), hit.movie.title);
  const match: "exact" | "title" | "director" | "spelling" = hit.match;
  assert.equal(match, "spelling");
}

async function pages(): Promise<void> {
  const seen = new Set<string>();
  let token = "";
  do {
    const { data, error } = await client.GET("/v1/movies", {
      params: { query: { order_by: "year desc", page_size: 50, page_token: token } },
    });
    assert(data, error?.detail);
    for (const movie of data.movies) {
      assert(!seen.has(movie.id), `${movie.id} is on two pages`);
      seen.add(movie.id);
    }
    token = data.nextPageToken;
  } while (token !== "");
  assert(seen.size >= 320, `the pages show ${seen.size} films, the demo has 320`);
}

async function rate(): Promise<void> {
  const path = { record_type: "movie", record_id: "tt0133093", user_id: "ts client/1 ü" };
  const route = "/v1/records/{record_type}/{record_id}/ratings/{user_id}";
  const put = await client.PUT(route, { params: { path }, body: { value: 8 } });
  assert.equal(put.data?.value, 8, put.error?.detail);
  const got = await client.GET(route, { params: { path } });
  assert.deepEqual(got.data, put.data);
  const gone = await client.DELETE(route, { params: { path } });
  assert.equal(gone.response.status, 200);
  const after = await client.GET(route, { params: { path } });
  assert.equal(after.response.status, 404);
  assert.equal(after.error?.type, "/problems/not-found");
}

async function refuse(): Promise<void> {
  const bad = await client.GET("/v1/movies:search", { params: { query: { q: "" } } });
  assert.equal(bad.response.status, 400);
  assert.equal(bad.error?.type, "/problems/invalid-argument");
  assert.equal(bad.error?.errors?.[0]?.field, "q");

  const late = await client.PUT("/v1/movies/{id}", {
    params: { path: { id: "tt0133093" }, header: { "If-Match": '"old"' } },
    body: { title: "T" },
  });
  assert.equal(late.response.status, 412);
  assert.equal(late.error?.type, "/problems/precondition-failed");
}

await read();
await search();
await pages();
await rate();
await refuse();
console.log("the TypeScript client read, searched, walked pages, rated and was refused as documented");
