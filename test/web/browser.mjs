// The browser: one Chromium for each test file, a fresh context (cache, cookies) for each page that is looked at.
import { chromium } from "playwright-core";

/** True where everything is wanted, false for the short form. */
export const full = process.env.WEB_FORM === "full";

/** The address of the system under test, without a slash at its end. */
export const base = process.env.BASE_URL?.replace(/\/$/, "");
if (!base) throw new Error("BASE_URL is not set: start these tests with test/web/run");

/** The flags under which Chromium runs as root, in a container, and contacts no server unasked. */
export const flags = [
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage",
];

/** Starts Chromium; the caller closes it. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: flags, timeout: 60_000 });
}

/**
 * Calls look(page, seen) with a new page in a new context, and closes both.
 *
 * `seen` collects what no page may do, from the first byte on: see watch.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {{width?: number, scheme?: "light" | "dark", js?: boolean, motion?: "reduce" | "no-preference"}} how
 */
export async function withPage(browser, how, look) {
  const context = await browser.newContext({
    viewport: { width: how.width ?? 1280, height: how.height ?? 900 },
    colorScheme: how.scheme ?? "light",
    javaScriptEnabled: how.js ?? true,
    reducedMotion: how.motion ?? "no-preference",
    bypassCSP: false,
  });
  context.setDefaultTimeout(15_000);
  try {
    const page = await context.newPage();
    const seen = await watch(context, page, how.origin ?? base);
    return await look(page, seen);
  } finally {
    await context.close();
  }
}

/**
 * What a page did that none of ours may do: a message on the console, an uncaught error, a dialog, a violation of its
 * Content-Security-Policy, a request to another origin, a request that failed.
 */
export class Seen {
  /** @type {string[]} */ problems = [];
  /** @type {{url: string, bytes: number}[]} Finished requests and what they cost on the wire, headers included. */ requests = [];
  /** @type {number} */ pending = 0;

  /** The sum of the bytes of all requests. */
  get bytes() {
    return this.requests.reduce((sum, r) => sum + r.bytes, 0);
  }
}

async function watch(context, page, origin) {
  const seen = new Seen();
  page.on("console", (message) => {
    // A document that is itself an error page: Chromium logs its status, and the status is meant.
    const documentsStatus = /^Failed to load resource: the server responded with a status of [45]/.test(message.text()) && message.location().url === page.url();
    if (!documentsStatus) seen.problems.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => seen.problems.push(`uncaught: ${error.message}`));
  page.on("dialog", async (dialog) => {
    seen.problems.push(`dialog: ${dialog.type()} ${JSON.stringify(dialog.message())}`);
    await dialog.dismiss();
  });
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("data:") && new URL(url).origin !== origin) seen.problems.push(`request to another origin: ${url}`);
  });
  context.on("requestfailed", (request) => {
    // A request for suggestions that a newer one overtook is cancelled on purpose.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") seen.problems.push(`request failed: ${request.url()}: ${request.failure()?.errorText}`);
  });
  await page.exposeBinding("reportPolicyViolation", (_, violation) => seen.problems.push(`policy violation: ${violation}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => window.reportPolicyViolation(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
  });

  const wire = await context.newCDPSession(page);
  await wire.send("Network.enable");
  const urls = new Map();
  wire.on("Network.requestWillBeSent", (event) => {
    if (!event.request.url.startsWith("data:")) urls.set(event.requestId, event.request.url);
  });
  wire.on("Network.loadingFinished", (event) => {
    if (urls.has(event.requestId)) seen.requests.push({ url: urls.get(event.requestId), bytes: event.encodedDataLength });
  });
  return seen;
}

/** Opens an address of the site and waits until it and all it loads are there. Returns the answer. */
export async function visit(page, path) {
  return page.goto(new URL(path, base).href, { waitUntil: "networkidle" });
}

/** Presses Tab until `wanted` (a selector) has the focus; a viewer without a mouse has no other way. */
export async function tabTo(page, wanted, most = 120) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), wanted)) return;
  }
  throw new Error(`${most} times Tab did not reach ${wanted} on ${page.url()}`);
}
