// Every page, as it comes: what it costs, what it asks for, what it says to the console, whom it shuts out.
import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";

import { full, launch, visit, withPage } from "./browser.mjs";
import { accessibility, cost, focusShown, linkedData, motion, overlaps, sideways } from "./checks.mjs";
import { pages } from "./site.mjs";

let browser;
before(async () => { browser = await launch(); });
after(async () => {
  console.log(costs.join("\n"));
  await browser?.close();
});

const costs = [];
const looks = [
  { width: 320, scheme: "light", motion: "reduce" },
  { width: 1280, scheme: "dark" },
  ...(full ? [{ width: 320, scheme: "dark" }, { width: 1280, scheme: "light" }, { width: 768, scheme: "light" }] : []),
];

for (const wanted of pages) {
  describe(wanted.name, () => {
    for (const look of looks) {
      test(`at ${look.width} px, ${look.scheme}${look.motion ? `, motion reduced` : ``}`, () => withPage(browser, look, async (page, seen) => {
        const answer = await visit(page, wanted.path);
        assert.equal(answer.status(), wanted.status ?? 200, "status of the page");
        const findings = [...cost(seen), ...await accessibility(page), ...await sideways(page), ...await overlaps(page), ...look.motion === "reduce" ? await motion(page) : [], ...seen.problems];
        if (look === looks[0]) costs.push(`${wanted.name}: ${seen.requests.length} requests, ${seen.bytes} bytes`);
        assert.deepEqual(findings, []);
        assert.ok((await page.title()).length > 3, "the page has a title");
        assert.equal(await page.locator("h1").count(), 1, "one h1");
        await linkedData(page);
      }));
    }
  });
}

for (const wanted of pages.filter((p) => full ? p.name !== "docs" : p.name === "home" || p.name === "movie")) {
  test(`focus can be seen on ${wanted.name}`, () => withPage(browser, { width: 1280 }, async (page) => {
    await visit(page, wanted.path);
    assert.deepEqual(await focusShown(page), []);
  }));
}
