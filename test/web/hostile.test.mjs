// A film whose every text is an attack, and a person whose name is one: shown as text wherever they are shown.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";

import { full, launch, visit, withPage } from "./browser.mjs";
import { accessibility, linkedData, overlaps, sideways } from "./checks.mjs";
import { hostile, hostilePath, hostileUser } from "./site.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

// As a reader sees it: white space is one space.
const plain = (s) => s.replaceAll(/\s+/g, " ").trim();
const text = async (page, selector) => plain((await page.locator(selector).allTextContents()).join(" "));
// Enough of a field to know that it is shown whole, markup and all.
const title = plain(hostile.title);

/** Nothing of the attack became part of the page: no element, no attribute that runs. */
async function inert(page, seen) {
  const alive = await page.evaluate(() => [
    ...document.querySelectorAll('[onerror], [onload], img[src="x"], script:not([src]):not([type="application/ld+json"]), a[href^="javascript:"], style'),
  ].map((e) => e.outerHTML.slice(0, 120)));
  assert.deepEqual([...alive, ...seen.problems], []);
}

for (const width of full ? [320, 1280] : [320]) {
  test(`the film's own page at ${width} px`, () => withPage(browser, { width }, async (page, seen) => {
    await visit(page, hostilePath);
    assert.equal(plain(await page.locator("h1").textContent()), title);
    const all = await text(page, "main");
    for (const field of [hostile.originalTitle, ...hostile.alternativeTitles, hostile.director, hostile.description, hostile.genres[1]]) {
      assert.ok(all.includes(plain(field)), `${field} is shown`);
    }
    assert.ok(plain(await page.title()).includes(title), "in the window's title");
    assert.ok(plain(await page.locator('meta[property="og:title"]').getAttribute("content")).includes(title), "in Open Graph");
    const data = await linkedData(page);
    assert.equal(data.length, 1);
    assert.equal(data[0].name, hostile.title);
    assert.ok(JSON.stringify(data[0]).includes(JSON.stringify(hostile.director).slice(1, -1)), "the director in JSON-LD");
    await inert(page, seen);
    assert.deepEqual([...await sideways(page), ...await overlaps(page), ...await accessibility(page)], []);

    // Where its links lead is the film's, the genre's, the director's own page.
    const links = await page.locator("article a").evaluateAll((list) => list.map((a) => a.href));
    for (const link of links) assert.match(link, /^https?:\/\//);
    const canonical = await page.locator('link[rel="canonical"]').getAttribute("href");
    assert.equal(decodeURIComponent(new URL(canonical).pathname), `/movies/${hostile.id}`);
  }));

  for (const [what, path] of [
    ["the search", "/search?q=Xqzy1"],
    ["the search by its director", "/search?q=Xqzy5"],
    ["the top chart", "/charts/top"],
    ["the trending chart", "/charts/trending"],
    ["a chart of its genre", `/charts/top?genre=${encodeURIComponent(hostile.genres[1])}`],
    ["home", "/"],
    ["a person's ratings", `/users/${encodeURIComponent(hostileUser)}`],
  ]) {
    test(`on ${what} at ${width} px`, () => withPage(browser, { width }, async (page, seen) => {
      await visit(page, path);
      assert.ok((await text(page, "main")).includes(title), `${what} shows the title as text`);
      await inert(page, seen);
      assert.deepEqual([...await sideways(page), ...await overlaps(page), ...await accessibility(page)], []);
    }));
  }
}

test("as a suggestion", () => withPage(browser, {}, async (page, seen) => {
  await visit(page, "/");
  await page.locator('input[name="q"]').first().click();
  await page.keyboard.type("xqzy1");
  const option = page.getByRole("option").first();
  await option.waitFor();
  assert.ok(plain(await option.textContent()).includes(title));
  await inert(page, seen);
  await page.keyboard.press("ArrowDown");
  await Promise.all([page.waitForURL("**/movies/*"), page.keyboard.press("Enter")]);
  assert.equal(plain(await page.locator("h1").textContent()), title);
  await inert(page, seen);
}));

for (const [what, path] of [
  ["what is searched for", `/search?q=${encodeURIComponent(hostile.title.slice(0, 190))}`],
  ["an address that is nothing", `/${encodeURIComponent(hostile.title.slice(0, 150))}`],
  ["an unknown film", `/movies/${encodeURIComponent("<script>alert(8)</script>")}`],
  ["an unknown person", `/users/${encodeURIComponent("<script>alert(9)</script>")}`],
  ["a filter", `/charts/top?genre=${encodeURIComponent("\"><script>alert(10)</script>")}`],
  ["an unknown problem type", `/problems/${encodeURIComponent("<script>alert(11)</script>")}`],
  ["a page token", `/search?q=the&page_token=${encodeURIComponent("\"><script>alert(12)</script>")}`],
]) {
  test(`${what} is text`, () => withPage(browser, {}, async (page, seen) => {
    await visit(page, path);
    await inert(page, seen);
    assert.equal(await page.locator("h1").count(), 1);
  }));
}
