// Lighthouse as it comes (a slow phone on a slow network): 95 of 100 in all four categories on the main pages.
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";

import * as launcher from "chrome-launcher";
import lighthouse from "lighthouse";

import { base, flags } from "./browser.mjs";
import { main } from "./site.mjs";

const categories = ["performance", "accessibility", "best-practices", "seo"];
const wanted = 95;

let chrome;
before(async () => {
  chrome = await launcher.launch({ chromePath: process.env.CHROMIUM, chromeFlags: ["--headless=new", ...flags], logLevel: "silent" });
});
after(() => chrome?.kill());

async function scores(url) {
  const { lhr } = await lighthouse(url, { port: chrome.port, logLevel: "silent", output: "json", onlyCategories: categories });
  assert.equal(lhr.runtimeError, undefined, lhr.runtimeError?.message);
  const of = Object.fromEntries(categories.map((c) => [c, Math.round(lhr.categories[c].score * 100)]));
  // What cost points, so that a failure says what to do.
  const lost = categories.flatMap((c) => lhr.categories[c].auditRefs
    .filter((ref) => ref.weight > 0 && lhr.audits[ref.id].score !== null && lhr.audits[ref.id].score < 0.95)
    .map((ref) => `${c}: ${lhr.audits[ref.id].title} ${lhr.audits[ref.id].displayValue ?? ""}`));
  return { of, lost };
}

for (const page of main) {
  test(`Lighthouse on ${page.name}`, async () => {
    let best;
    // Other work on the machine can only cost points of performance, never win any: the best of three tells the most.
    for (let run = 0; run < 3; run++) {
      const now = await scores(base + page.path);
      if (!best || now.of.performance > best.of.performance) best = now;
      if (best.of.performance >= wanted) break;
    }
    console.log(`${page.name}: ${categories.map((c) => `${c} ${best.of[c]}`).join(", ")}`);
    for (const c of categories) assert.ok(best.of[c] >= wanted, `${c} ${best.of[c]}, want ${wanted}: ${best.lost.join("; ")}`);
  });
}
