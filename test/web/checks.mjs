// What must hold for any page. Each check returns findings, empty where all is well; checks.test.mjs shows that each can
// find something.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** All rules of axe, its best practices included. */
export async function accessibility(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap((v) => v.nodes.map((n) => `axe ${v.id} (${v.impact}): ${n.target.join(" ")}: ${n.failureSummary.replaceAll(/\s+/g, " ")} ${n.html.slice(0, 200)}`));
}

/** A page never scrolls sideways, and hides nothing to the side in order not to. */
export async function sideways(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const findings = [];
    for (const root of [document.documentElement, document.body]) {
      if (root.scrollWidth > width) findings.push(`${root.localName} is ${root.scrollWidth} px wide in a window of ${width}`);
      const { overflowX } = getComputedStyle(root);
      if (overflowX === "hidden" || overflowX === "clip") findings.push(`${root.localName} has overflow-x: ${overflowX}, which hides what is too wide`);
    }
    if (findings.length > 0) {
      for (const element of document.querySelectorAll("body *")) {
        const box = element.getBoundingClientRect();
        if (box.width > 0 && box.right > width + 1 && !element.closest("svg svg, .scrolls *")) findings.push(`reaches to ${Math.round(box.right)} px: ${element.outerHTML.slice(0, 120)}`);
        if (findings.length > 6) break;
      }
    }
    return findings;
  });
}

/** Entries of a list lie beside or below each other, never on one another. */
export async function overlaps(page) {
  return page.evaluate(() => {
    // What is seen of an entry: its lines of text, wherever they reach to, and its pictures.
    const seen = (entry) => {
      const boxes = [...entry.querySelectorAll("svg, img")].flatMap((e) => [...e.getClientRects()]);
      const walker = document.createTreeWalker(entry, NodeFilter.SHOW_TEXT);
      const range = document.createRange();
      while (walker.nextNode()) {
        if (walker.currentNode.parentElement.closest("svg, .unseen")) continue;
        range.selectNodeContents(walker.currentNode);
        boxes.push(...range.getClientRects());
      }
      return boxes;
    };
    const findings = [];
    for (const list of document.querySelectorAll("ol, ul, dl")) {
      const entries = [...list.children];
      const boxes = entries.map(seen);
      for (let i = 0; i < boxes.length; i++) {
        for (let j = i + 1; j < Math.min(boxes.length, i + 12); j++) {
          for (const [a, b] of boxes[i].flatMap((a) => boxes[j].map((b) => [a, b]))) {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            // The boxes of close lines touch by the little that letters do not fill.
            if (wide > 2 && high > 8) {
              findings.push(`${Math.round(wide)} × ${Math.round(high)} px of ${entries[i].textContent.trim().slice(0, 40)} lie on ${entries[j].textContent.trim().slice(0, 40)}`);
              break;
            }
          }
        }
      }
    }
    return findings.slice(0, 6);
  });
}

/** What the first load may cost: requests, and bytes on the wire, headers included. */
export function cost(seen, { requests = 6, bytes = 100_000 } = {}) {
  const findings = [];
  if (seen.requests.length > requests) findings.push(`${seen.requests.length} requests, at most ${requests} allowed: ${seen.requests.map((r) => r.url).join(" ")}`);
  if (seen.bytes > bytes) findings.push(`${seen.bytes} bytes, at most ${bytes} allowed: ${seen.requests.map((r) => `${r.url} ${r.bytes}`).join(", ")}`);
  if (seen.requests.length === 0) findings.push("no request was seen");
  return findings;
}

/** With reduced motion asked for, nothing moves. */
export async function motion(page) {
  return page.evaluate(() => {
    const findings = document.getAnimations().map((a) => `runs: ${a.animationName ?? a.transitionProperty} on ${a.effect?.target?.outerHTML.slice(0, 80)}`);
    const seconds = (list) => Math.max(...list.split(",").map((d) => parseFloat(d) * (d.trim().endsWith("ms") ? 0.001 : 1)));
    for (const element of document.querySelectorAll("*")) {
      const style = getComputedStyle(element);
      if (seconds(style.transitionDuration) > 0.01) findings.push(`transition of ${style.transitionDuration}: ${element.outerHTML.slice(0, 80)}`);
      if (seconds(style.animationDuration) > 0.01 && style.animationName !== "none") findings.push(`animation of ${style.animationDuration}: ${element.outerHTML.slice(0, 80)}`);
      if (style.scrollBehavior === "smooth") findings.push(`smooth scrolling: ${element.localName}`);
    }
    return findings.slice(0, 8);
  });
}

/** What has the focus after Tab shows it: an outline, or a shadow, or another look than without. */
export async function focusShown(page, most = 60) {
  const findings = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    const finding = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return "end";
      const ring = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 || style.boxShadow !== "none";
      const box = e.getBoundingClientRect();
      if (box.width < 1 || box.height < 1 || box.right < 0 || box.bottom < 0) return `has the focus and cannot be seen: ${e.outerHTML.slice(0, 120)}`;
      if (ring(getComputedStyle(e)) || e.closest(":focus-within") && [...e.querySelectorAll("*")].some((c) => ring(getComputedStyle(c)))) return "";
      for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (ring(getComputedStyle(p))) return "";
      return `shows no focus: ${e.outerHTML.slice(0, 120)}`;
    });
    if (finding === "end") break;
    if (finding) findings.push(finding);
  }
  return findings;
}

/** JSON-LD that parses: returns the objects, throws otherwise. */
export async function linkedData(page) {
  const texts = await page.locator('script[type="application/ld+json"]').allTextContents();
  return texts.map((text) => JSON.parse(text));
}
