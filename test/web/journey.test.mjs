// From the search to a film to a chart: by keyboard alone, and without JavaScript.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";

import { launch, tabTo, visit, withPage } from "./browser.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const box = 'input[name="q"]';

test("by keyboard alone: search, film, chart", () => withPage(browser, {}, async (page, seen) => {
  await visit(page, "/");

  // The first Tab offers to skip to the content, and does.
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("href") ?? ""), /^#/, "the first Tab stop is a skip link");

  await tabTo(page, box);
  const input = page.locator(`${box}:focus`);
  assert.equal(await input.getAttribute("role"), "combobox");
  assert.equal(await input.getAttribute("aria-expanded"), "false");
  assert.match(await input.getAttribute("aria-autocomplete") ?? "", /list|both/);

  await page.keyboard.type("godfahter", { delay: 20 }); // spelled as people do
  await page.waitForFunction(() => document.activeElement.getAttribute("aria-expanded") === "true");
  const list = page.locator(`#${await input.getAttribute("aria-controls")}`);
  assert.equal(await list.getAttribute("role"), "listbox");
  assert.ok(await list.isVisible());
  const options = list.getByRole("option");
  assert.ok(await options.count() >= 2, "several suggestions");
  assert.match(await options.first().textContent(), /Godfather/);
  assert.match(await page.getByRole("status").first().textContent(), /suggestion/, "the number of suggestions is announced");

  await page.keyboard.press("ArrowDown");
  const active = () => input.getAttribute("aria-activedescendant");
  const first = await active();
  assert.ok(first, "ArrowDown makes an option active");
  assert.equal(await page.locator(`#${first}`).getAttribute("aria-selected"), "true");
  assert.equal(await list.locator('[aria-selected="true"]').count(), 1);
  await page.keyboard.press("ArrowDown");
  const second = await active();
  assert.notEqual(second, first, "ArrowDown continues");
  assert.equal(await list.locator('[aria-selected="true"]').count(), 1);
  await page.keyboard.press("ArrowUp");
  assert.equal(await active(), first, "ArrowUp goes back");
  assert.ok(await page.evaluate((b) => document.activeElement.matches(b), box), "the focus stays in the box");

  // Escape closes the list and keeps the text; ArrowDown opens it again.
  await page.keyboard.press("Escape");
  assert.equal(await input.getAttribute("aria-expanded"), "false");
  assert.ok(await list.isHidden());
  assert.equal(await input.inputValue(), "godfahter");
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction(() => document.activeElement.getAttribute("aria-expanded") === "true");
  if (!await active()) await page.keyboard.press("ArrowDown");
  const chosen = await page.locator(`#${await active()} .title`).textContent();
  await Promise.all([page.waitForURL("**/movies/*"), page.keyboard.press("Enter")]);
  assert.equal(await page.locator("h1").textContent(), chosen);

  // From the film to the chart, and to a narrower one.
  await tabTo(page, 'a[href="/charts/top"]');
  await Promise.all([page.waitForURL("**/charts/top"), page.keyboard.press("Enter")]);
  await tabTo(page, 'main a[href*="genre=Drama"]');
  await Promise.all([page.waitForURL("**genre=Drama**"), page.keyboard.press("Enter")]);
  assert.ok(await page.locator("main ol > li").count() > 3, "films in the narrower chart");

  // How it is computed opens by keyboard and says the numbers.
  await tabTo(page, "summary", 400);
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("details[open]").count() === 1);
  assert.match(await page.locator("details[open]").textContent(), /\d/);
  assert.deepEqual(seen.problems, []);
}));

test("by keyboard alone: Enter without a choice searches", () => withPage(browser, { width: 320 }, async (page, seen) => {
  await visit(page, "/charts/top");
  await tabTo(page, box);
  await page.keyboard.type("kurosawa");
  await Promise.all([page.waitForURL("**/search?**"), page.keyboard.press("Enter")]);
  assert.match(page.url(), /[?&]q=kurosawa/);
  assert.match(await page.locator("main").textContent(), /Rashomon|Seven Samurai/);
  assert.deepEqual(seen.problems, []);
}));

test("by pointer: a suggestion is a link", () => withPage(browser, {}, async (page, seen) => {
  await visit(page, "/");
  await page.locator(box).first().click();
  await page.keyboard.type("matri");
  await Promise.all([page.waitForURL("**/movies/tt0133093"), page.getByRole("option", { name: /Matrix/ }).first().click()]);
  assert.deepEqual(seen.problems, []);
}));

test("without JavaScript: search, film, chart", () => withPage(browser, { js: false }, async (page, seen) => {
  await visit(page, "/");
  await page.locator(box).first().fill("godfahter");
  await page.locator(box).first().press("Enter");
  await page.waitForURL("**/search?**");
  const hit = page.locator("main h3 a, main ol a").filter({ hasText: /Godfather/ }).first();
  await hit.click();
  await page.waitForURL("**/movies/*");
  assert.match(await page.locator("h1").textContent(), /Godfather/);
  assert.equal(await page.locator("table.histogram tbody tr").count(), 10, "ten bars");
  assert.ok(await page.locator("table.years tbody tr").count() > 1, "the years as a table");
  await page.locator("summary").first().click();
  assert.ok(await page.locator("details[open]").count() === 1, "details open without a script");
  await page.locator('a[href="/charts/top"]').first().click();
  await page.waitForURL("**/charts/top");
  await page.locator('main a[href*="decade=1970"]').first().click();
  await page.waitForURL("**decade=1970**");
  const years = await page.locator("main ol > li").allTextContents();
  assert.ok(years.length > 3);
  for (const film of years) assert.match(film, /197\d/);
  assert.deepEqual(seen.problems, []);
}));

test("without JavaScript: leafing through a chart shows each film once", () => withPage(browser, { js: false }, async (page) => {
  await visit(page, "/charts/popular");
  const shown = [];
  for (let leaf = 0; leaf < 4; leaf++) {
    shown.push(...await page.locator("main ol > li > a").evaluateAll((links) => links.map((a) => a.getAttribute("href"))));
    const next = page.locator('a[rel="next"]');
    if (await next.count() === 0) break;
    await next.click();
    await page.waitForLoadState();
  }
  assert.ok(shown.length > 40, `${shown.length} films on the pages`);
  assert.equal(new Set(shown).size, shown.length, "no film twice");
}));
