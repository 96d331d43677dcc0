// The pages under test, and the films that the tests put into the catalogue for them: one without ratings, and one
// whose every field attacks the page that shows it.
import { base } from "./browser.mjs";

async function put(path, body) {
  const answer = await fetch(base + path, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
}

async function get(path) {
  const answer = await fetch(base + path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Waits until look() gives something true. The index of the search follows a put within two seconds; a busy machine takes longer. */
export async function until(what, look) {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited 60 s until ${what}`);
}

export const unrated = { id: "web-test-unrated", title: "Quizzical Unrated Interlude", year: 2001, genres: ["Drama"], director: "An Unknown", description: "A film without ratings." };

/** Each field has its own number, so that an alert tells which field it came from. */
const attack = (n) => `Xqzy${n} "'><script>alert(${n})</script><img src=x onerror=alert(${n})></title></script><!--<script>{{7*7}}\${7*7}</style><svg/onload=alert(${n})>\u2028&lt;b&gt;javascript:alert(${n})`;

export const hostile = {
  id: `"><img src=x onerror=alert('id')>`,
  title: attack(1),
  originalTitle: attack(2),
  alternativeTitles: [attack(3), attack(4)],
  director: attack(5),
  description: attack(6),
  // The last has as many letters as a genre may have, and nowhere to break.
  genres: ["Drama", "\"'><script>alert(7)</script></title>", "Donaudampfschifffahrtsgesellschaftskapitänsmützen!"],
  year: 1999,
  runtimeMinutes: 100,
  externalIds: {},
};
export const hostileUser = `"><img src=x onerror=alert('user')>`;

const rated = "tt0133093";
export const moviePath = `/movies/${rated}`;
export const hostilePath = `/movies/${encodeURIComponent(hostile.id)}`;

// Pictures are of the demo as it comes; an attack at the top of the chart is nothing to show.
const attacked = process.env.WEB_FORM !== "screenshots";
if (attacked) {
  const { id: unratedId, ...unratedBody } = unrated;
  await put(`/v1/movies/${unratedId}`, unratedBody);
  const { id: hostileId, ...hostileBody } = hostile;
  await put(`/v1/movies/${encodeURIComponent(hostileId)}`, hostileBody);
  // So many and so high that it stands on the charts, the first page included.
  const raters = [hostileUser, ...Array.from({ length: 60 }, (_, i) => `web-test-${i}`)];
  for (const user of raters) await put(`/v1/records/movie/${encodeURIComponent(hostileId)}/ratings/${encodeURIComponent(user)}`, { value: 10 });
  await until("the two films are found, and the attack is on the charts", async () => {
    const found = await Promise.all(["/v1/movies:search?q=Xqzy1", "/v1/charts/top", "/v1/charts/trending"].map((path) => get(path)));
    return found.every((answer) => JSON.stringify(answer).includes("Xqzy1")) && JSON.stringify(await get("/v1/movies:search?q=quizzical")).includes(unrated.id);
  });
}
const { ratings } = await get(`/v1/records/movie/${rated}/ratings?page_size=1`);
const person = ratings[0].userId;

/** Every kind of page, in every state that can be reached from outside. status: of the answer, 200 unless named. */
export const pages = [
  { name: "home", path: "/" },
  { name: "search", path: "/search?q=the" },
  { name: "search-typo", path: "/search?q=godfahter" },
  { name: "search-none", path: "/search?q=zzzzqqqqxx" },
  { name: "search-blank", path: "/search" },
  { name: "chart", path: "/charts/top" },
  { name: "chart-filtered", path: "/charts/top?genre=Drama&decade=1990" },
  { name: "chart-empty", path: "/charts/top?genre=Western&decade=1900" },
  { name: "chart-popular", path: "/charts/popular" },
  { name: "chart-trending", path: "/charts/trending" },
  { name: "movie", path: moviePath },
  ...(attacked ? [{ name: "movie-unrated", path: `/movies/${unrated.id}` }, { name: "movie-hostile", path: hostilePath }] : []),
  { name: "user", path: `/users/${encodeURIComponent(person)}` },
  { name: "user-unknown", path: "/users/no-such-user", status: 404 },
  { name: "about", path: "/about" },
  { name: "problems", path: "/problems" },
  { name: "problem", path: "/problems/not-found" },
  { name: "not-found", path: "/films/the-godfather", status: 404 },
  { name: "movie-not-found", path: "/movies/the-godfather", status: 404 },
  { name: "error", path: "/charts/top?decade=abc", status: 400 },
  { name: "docs", path: "/docs" },
];

/** The pages that the issue asks Lighthouse about, and whose pictures are taken first. */
export const main = ["home", "chart", "search", "movie"].map((name) => pages.find((p) => p.name === name));
