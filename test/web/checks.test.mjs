// The checks themselves: each finds what it is for, on a page that was made wrong on purpose, and nothing on one that is
// right. A check that cannot fail would hold the pages to nothing.
import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { launch, withPage } from "./browser.mjs";
import { accessibility, cost, focusShown, linkedData, motion, overlaps, sideways } from "./checks.mjs";

const right = (head, body) => `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A page</title>
<link rel="icon" href="data:,">${head}</head><body><main><h1>A page</h1><p><a href="/">A link</a></p>${body}</main></body></html>`;

const wrongs = {
  "/right": right("", ""),
  "/console": right("", "<script>console.log('hello')</script>"),
  "/uncaught": right("", "<script>throw new Error('gone')</script>"),
  "/dialog": right("", "<script>alert(1)</script>"),
  "/foreign": right("", '<img alt="" src="http://localhost:9/x.png">'),
  "/policy": right("", "<script>1</script>"),
  "/missing": right("", '<img alt="" src="/nothing.png">'),
  "/contrast": right("", '<p style="color:#999;background:#fff">Hard to read</p>'),
  "/unnamed": right("", '<input type="text">'),
  "/wide": right("", '<div style="width:600px">wide</div>'),
  "/overlapping": right("<style>ul{display:grid;grid-template-columns:4em 4em;list-style:none}</style>", "<ul><li>averylongwordindeed</li><li>another</li></ul>"),
  "/hidden": right("<style>body{overflow-x:hidden}</style>", '<div style="width:600px">wide</div>'),
  "/moving": right("<style>@keyframes k{to{opacity:.5}}p{animation:k 1s infinite}</style>", "<p>moves</p>"),
  "/sliding": right("<style>a{transition:color .3s}</style>", ""),
  "/smooth": right("<style>html{scroll-behavior:smooth}</style>", ""),
  "/faceless": right("<style>a:focus{outline:none}</style>", ""),
  "/heavy": right("", `<!--${"x".repeat(120_000)}-->`),
  "/many": right("", Array.from({ length: 8 }, (_, i) => `<img alt="" src="/dot.svg?${i}">`).join("")),
  "/broken-data": right('<script type="application/ld+json">{"name": </script>', ""),
};

let browser, server, origin;
before(async () => {
  browser = await launch();
  server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    if (path === "/dot.svg") {
      response.writeHead(200, { "Content-Type": "image/svg+xml" }).end('<svg xmlns="http://www.w3.org/2000/svg"/>');
      return;
    }
    const page = wrongs[path];
    response.writeHead(page ? 200 : 404, {
      "Content-Type": "text/html; charset=utf-8",
      ...(path === "/policy" ? { "Content-Security-Policy": "script-src 'self'" } : {}),
    }).end(page ?? "nothing");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
});
after(async () => {
  await browser?.close();
  server?.close();
});

const look = (path, how, check) => withPage(browser, { width: 320, origin, ...how }, async (page, seen) => {
  await page.goto(origin + path, { waitUntil: "networkidle" });
  return check(page, seen);
});

const all = async (page, seen) => [
  ...seen.problems, ...cost(seen), ...await accessibility(page), ...await sideways(page), ...await overlaps(page), ...await motion(page), ...await focusShown(page),
];

test("a right page has no findings", async () => {
  assert.deepEqual(await look("/right", { motion: "reduce" }, all), []);
});

const problems = (_, seen) => seen.problems;
for (const [path, check, finding, how] of [
  ["/console", problems, /console log: hello/],
  ["/uncaught", problems, /uncaught: gone/],
  ["/dialog", problems, /dialog: alert/],
  ["/foreign", problems, /another origin: http:\/\/localhost:9/],
  ["/policy", problems, /policy violation: script-src/],
  ["/missing", problems, /console error: Failed to load resource/],
  ["/contrast", accessibility, /axe color-contrast/],
  ["/unnamed", accessibility, /axe label/],
  ["/wide", sideways, /6\d\d px wide in a window of 320/],
  ["/overlapping", overlaps, /averylong.* lie on another/],
  ["/hidden", sideways, /overflow-x: hidden/],
  ["/moving", motion, /animation/],
  ["/sliding", motion, /transition of 0\.3s/],
  ["/smooth", motion, /smooth scrolling/],
  ["/faceless", (page) => focusShown(page), /shows no focus/],
  ["/heavy", (_, seen) => cost(seen), /bytes, at most 100000/],
  ["/many", (_, seen) => cost(seen), /9 requests, at most 6/],
]) {
  test(`${path} is found wrong`, async () => {
    const findings = await look(path, how, check);
    assert.ok(findings.some((f) => finding.test(f)), `${JSON.stringify(findings)} has nothing like ${finding}`);
  });
}

test("/broken-data is found wrong", async () => {
  await assert.rejects(look("/broken-data", {}, linkedData), SyntaxError);
});
