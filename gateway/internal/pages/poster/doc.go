// Package poster draws the posters of films: typographic, generated, and always
// the same for the same film.
//
// The catalogue has no pictures and may not borrow any, so the front page would
// be a list of lines. A poster gives each film its own face, and a wall of
// them has to look as if one studio had designed it. Hence a system rather than
// chance, after the Swiss and Polish schools:
//
//   - four flat colours from one of a few hand-picked palettes, chosen by the
//     mood of the genres, put together by one of a few schemes;
//   - one geometric motif that the genres or the era lean to; the hash of the id
//     turns its knobs (count, angle, place, size);
//   - the title in League Gothic, as large as its longest line lets it be, broken
//     on purpose, on a ground that no shape ever enters, which is what makes
//     its contrast a promise (see [Ratio]) instead of luck.
//
// It promises an svg element of the proportions 2:3 that refers to nothing
// outside itself but the font's name, has no id, no style and no script, so that
// thirty stand on one page under a strict Content-Security-Policy; that whatever
// a title contains is text; and that drawing takes microseconds, because a page
// draws thirty.
//
// It refuses to know where posters stand: no links, no HTML around them, no
// caching. A change of anything here changes the posters of every
// installation; the golden files say so.
package poster
