// The suggestions where things go wrong: while an input method composes, without an answer, on the way back, in a small window.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";

import { launch, visit, withPage } from "./browser.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const box = 'input[name="q"]';
const expanded = (page) => page.locator(box).getAttribute("aria-expanded");
const opens = (page) => page.waitForFunction(() => document.querySelector('input[name="q"]').getAttribute("aria-expanded") === "true");
const closes = (page) => page.waitForFunction(() => document.querySelector('input[name="q"]').getAttribute("aria-expanded") === "false");
const active = (page) => page.locator(box).getAttribute("aria-activedescendant");

/** A search page with the list open. */
async function open(page, text = "god") {
  await visit(page, "/");
  await page.locator(box).click();
  await page.keyboard.type(text);
  await opens(page);
}

for (const [how, end] of [
  ["cancelled", (wire) => wire.send("Input.imeSetComposition", { text: "", selectionStart: 0, selectionEnd: 0 })],
  ["taken", (wire) => wire.send("Input.insertText", { text: "q" })],
]) {
  test(`keys work after a composition that closed the list and was ${how}`, () => withPage(browser, {}, async (page) => {
    await open(page);
    const wire = await page.context().newCDPSession(page);
    await wire.send("Input.imeSetComposition", { text: "qqqq", selectionStart: 4, selectionEnd: 4 });
    await closes(page);
    await end(wire);
    await page.locator(box).fill("");
    await page.keyboard.type("god");
    await opens(page);
    await page.keyboard.press("ArrowDown");
    assert.ok(await active(page), "ArrowDown makes an option active");
    await Promise.all([page.waitForURL("**/movies/*"), page.keyboard.press("Enter")]);
  }));
}

test("keys belong to the input method while it composes", () => withPage(browser, {}, async (page) => {
  await visit(page, "/");
  const before = page.url();
  await page.locator(box).click();
  const wire = await page.context().newCDPSession(page);
  await wire.send("Input.imeSetComposition", { text: "god", selectionStart: 3, selectionEnd: 3 });
  await opens(page); // what is composed is offered films for, too
  const press = (key, init) => page.locator(box).evaluate((e, [k, i]) => e.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true, ...i })), [key, init]);
  for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
    for (const key of ["ArrowDown", "ArrowUp", "Enter", "Escape"]) assert.ok(await press(key, init), `${key} keeps its meaning`);
    assert.equal(await active(page), null, "no option is active");
    assert.equal(await expanded(page), "true", "the list stays");
  }
  assert.equal(page.url(), before);
  await wire.send("Input.insertText", { text: "god" });
  await page.keyboard.press("ArrowDown");
  assert.ok(await active(page), "afterwards the keys are the list's");
}));

for (const [how, answer] of [
  ["cannot be reached", (route) => route.abort("connectionrefused")],
  ["does not answer", () => {}],
  ["answers with an error", (route) => route.fulfill({ status: 503, body: "gone" })],
]) {
  test(`nothing that does not fit is offered when the server ${how}`, () => withPage(browser, {}, async (page) => {
    await open(page);
    await page.route("**/search/suggest**", answer);
    await page.keyboard.type("zilla");
    await closes(page);
    await page.keyboard.press("ArrowDown"); // asks once more, without success
    assert.equal(await active(page), null);
    await Promise.all([page.waitForURL("**/search?**"), page.keyboard.press("Enter")]);
  }));
}

test("what still fits stays while the answer is on its way, and goes when none comes", () => withPage(browser, {}, async (page) => {
  await open(page, "godf");
  const asked = page.waitForRequest("**/search/suggest**");
  await page.route("**/search/suggest**", () => {});
  await page.keyboard.type("a");
  await asked;
  assert.equal(await expanded(page), "true");
  for (const text of await page.getByRole("option").allTextContents()) assert.match(text, /godfa/i);
  await closes(page); // within the time that an answer may take
}));

test("the list is closed after a choice, and on the way back", () => withPage(browser, {}, async (page, seen) => {
  await open(page);
  await page.keyboard.press("ArrowDown");
  await page.locator("#suggestions").evaluate((list) => list.addEventListener("click", (event) => event.preventDefault()));
  await page.keyboard.press("Enter");
  await closes(page);
  for (const leave of [() => new PageTransitionEvent("pagehide", { persisted: true }), () => new PageTransitionEvent("pageshow", { persisted: true })]) {
    await page.locator(box).fill("");
    await page.keyboard.type("god");
    await opens(page);
    await page.evaluate(`dispatchEvent((${leave})())`);
    await closes(page);
    assert.ok(await page.locator("#suggestions").isHidden());
  }
  assert.deepEqual(seen.problems, []);
}));

test("in a small window the box stays in sight", () => withPage(browser, { width: 320, height: 256 }, async (page) => {
  await open(page, "the");
  const count = await page.getByRole("option").count();
  assert.ok(count >= 6, `${count} suggestions`);
  for (let i = 0; i < count; i++) await page.keyboard.press("ArrowDown");
  assert.equal(await active(page), await page.getByRole("option").last().getAttribute("id"));
  for (const [what, selector] of [["the box", box], ["the last option", `#${await active(page)}`]]) {
    const { y, height } = await page.locator(selector).boundingBox();
    assert.ok(y >= 0 && y + height <= 257, `${what} is at ${Math.round(y)} to ${Math.round(y + height)} of 256`);
  }
}));
