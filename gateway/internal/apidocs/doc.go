// Package apidocs serves the OpenAPI document at /openapi.json and a reference page made of it at /docs.
//
// Both files are generated (api/generate.sh, the command in gen) and committed; what is served is what was reviewed, and a
// running gateway has nothing to render. How true they are is tested against the running system in test/clients.
//
// The page is static HTML with one style sheet and without any script, so its content security policy allows next to nothing, it
// works without JavaScript, and it is held to the same rules as the other pages: no violation in axe, light and dark, 320 pixels and
// up. Ready-made viewers were tried in Chromium with this document first, and none can be brought there by configuration and styles
// (violations that axe finds, November 2026): swagger-ui-dist 5.35.0 has 49 contrasts too low and 18 buttons inside buttons
// and is wider than 320 pixels, in 1.9 MB; @scalar/api-reference 1.46 has 23 buttons without a name and roles that do not fit, and
// asks a foreign host for fonts; rapidoc 9.3.8 asks one too, has up to 15 contrasts too low and is wider than 320 pixels. What they offer
// beyond a page, sending requests by form, is here a curl line for every operation, and a link where it is a GET.
//
// It promises that an answer is never older than the program: no cache may use one without asking (no-cache), and asking costs
// nothing (ETag, 304).
package apidocs
