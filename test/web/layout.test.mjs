// What readers do to a page: space its text wider, double its letters, choose its colours.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";

import { full, launch, visit, withPage } from "./browser.mjs";
import { overlaps, sideways } from "./checks.mjs";
import { main, moviePath, pages } from "./site.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A reader's own style sheet, which no policy of the page's forbids. */
const restyle = (page, css) => page.evaluate((text) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  document.adoptedStyleSheets.push(sheet);
}, css);

/** Text that is cut off or runs out of its box without the page being wider. */
const spills = (page) => page.evaluate(() => [...document.querySelectorAll("h1, h2, h3, p, a, dd, dt, button, li")]
  .filter((e) => !e.closest(".unseen, .scrolls, svg, pre") && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 2)
  .map((e) => `${e.scrollWidth} px in ${e.clientWidth}: ${e.outerHTML.slice(0, 100)}`));

// WCAG 2.2, 1.4.12 Text Spacing.
const spaced = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }";

for (const wanted of full ? pages.filter((p) => p.name !== "docs") : main) {
  for (const width of [320, 1280]) {
    test(`${wanted.name} at ${width} px with its text spaced wider`, () => withPage(browser, { width }, async (page) => {
      await visit(page, wanted.path);
      await restyle(page, spaced);
      assert.deepEqual([...await sideways(page), ...await spills(page), ...await overlaps(page)], []);
    }));
  }
  test(`${wanted.name} at 640 px with letters of twice the size`, () => withPage(browser, { width: 640 }, async (page) => {
    await visit(page, wanted.path);
    await restyle(page, "html { font-size: 200% }");
    assert.deepEqual([...await sideways(page), ...await spills(page), ...await overlaps(page)], []);
  }));
}

test("a film's page becomes one column when its letters double", () => withPage(browser, { width: 640 }, async (page) => {
  await visit(page, moviePath);
  const columns = () => page.locator(".movie-head").evaluate((e) => getComputedStyle(e).gridTemplateColumns.split(" ").length);
  assert.equal(await columns(), 2);
  await restyle(page, "html { font-size: 200% }");
  assert.equal(await columns(), 1);
}));

for (const scheme of ["light", "dark"]) {
  test(`what matched is seen with the reader's own colours, ${scheme}`, async () => {
    const context = await browser.newContext({ colorScheme: scheme, forcedColors: "active" });
    try {
      const page = await context.newPage();
      const seen = (selector) => page.locator(selector).first().evaluate((e) => {
        const rgb = (c) => c.match(/[\d.]+/g).map(Number);
        const light = (c) => rgb(c).slice(0, 3).reduce((sum, v, i) => sum + [0.2126, 0.7152, 0.0722][i] * (v / 255) ** 2.2, 0);
        let ground = e;
        while (ground.parentElement && rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
        const [a, b] = [light(getComputedStyle(e).color), light(getComputedStyle(ground).backgroundColor)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      });
      await visit(page, "/search?q=god");
      assert.ok(await seen(".result h3 mark") >= 4.5, "in the results");
      await page.locator('input[name="q"]').fill("");
      await page.locator('input[name="q"]').click();
      await page.keyboard.type("god");
      await page.getByRole("option").first().waitFor();
      assert.ok(await seen(".suggestions mark") >= 4.5, "in the suggestions");
      await page.keyboard.press("ArrowDown");
      assert.ok(await seen('.suggestions [aria-selected="true"] mark') >= 4.5, "in the active one");
    } finally {
      await context.close();
    }
  });
}

test("the text of the plot can be read on a phone", () => withPage(browser, { width: 320 }, async (page) => {
  await visit(page, moviePath);
  const size = await page.locator(".plot text").first().evaluate((e) => parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a);
  assert.ok(size >= 12, `${size.toFixed(1)} px`);
}));
