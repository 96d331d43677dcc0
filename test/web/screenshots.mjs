// Pictures of the main pages: node screenshots.mjs DIR, through test/web/run screenshots DIR.
import { join } from "node:path";

import { launch, visit, withPage } from "./browser.mjs";
import { pages } from "./site.mjs";

const dir = process.argv[2];
const names = process.env.WEB_PAGES?.split(",") ??
  ["home", "search", "search-typo", "search-none", "chart", "chart-filtered", "movie", "user", "about", "problems", "problem", "not-found", "error", "docs"];

const browser = await launch();
try {
  for (const wanted of pages.filter((p) => names.includes(p.name))) {
    for (const width of [320, 768, 1280]) {
      for (const scheme of ["light", "dark"]) {
        await withPage(browser, { width, scheme }, async (page) => {
          await visit(page, wanted.path);
          await page.evaluate(() => document.fonts.ready);
          await page.screenshot({ path: join(dir, `${wanted.name}-${width}-${scheme}.png`), fullPage: true });
          if (width === 1280) await page.screenshot({ path: join(dir, `${wanted.name}-${width}-${scheme}-top.png`) }); // what a window shows
        });
      }
    }
    console.log(wanted.name);
  }
  // The suggestions as they open, which no address shows.
  for (const [width, scheme] of [[320, "light"], [1280, "dark"]]) {
    await withPage(browser, { width, scheme }, async (page) => {
      await visit(page, "/");
      await page.locator('input[name="q"]').first().click();
      await page.keyboard.type("the l");
      await page.getByRole("option").first().waitFor();
      await page.keyboard.press("ArrowDown");
      await page.screenshot({ path: join(dir, `suggestions-${width}-${scheme}.png`) });
    });
  }
} finally {
  await browser.close();
}
