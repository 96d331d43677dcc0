package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// asset is one file as it is served. Its name contains the hash of its content, so it may be cached forever.
type asset struct {
	contentType string
	body        []byte
}

// assets are the files that pages link to, by the name in their address.
type assets struct {
	byName map[string]asset
	// Addresses, for the layout.
	Style, Script, Font string
	icon                []byte
}

func loadAssets() (*assets, error) {
	a := &assets{byName: make(map[string]asset)}
	read := func(names ...string) ([]byte, error) {
		var all []byte
		for _, name := range names {
			b, err := assetFiles.ReadFile("assets/" + name)
			if err != nil {
				return nil, err
			}
			all = append(all, b...)
		}
		return all, nil
	}
	font, err := read("fonts/league-gothic-latin-wdth-normal.woff2")
	if err != nil {
		return nil, err
	}
	fontExt, err := read("fonts/league-gothic-latin-ext-wdth-normal.woff2")
	if err != nil {
		return nil, err
	}
	style, err := read("style.css")
	if err != nil {
		return nil, err
	}
	// One module instead of two: the vendored class comes first, and the code after it uses it by name.
	script, err := read("combobox-nav.js", "suggest.js")
	if err != nil {
		return nil, err
	}
	if a.icon, err = read("favicon.svg"); err != nil {
		return nil, err
	}
	a.Font = a.add("league-gothic.woff2", "font/woff2", font)
	ext := a.add("league-gothic-ext.woff2", "font/woff2", fontExt)
	for placeholder, address := range map[string]string{"url(league-gothic.woff2)": a.Font, "url(league-gothic-ext.woff2)": ext} {
		if !bytes.Contains(style, []byte(placeholder)) {
			return nil, fmt.Errorf("style.css does not name %s", placeholder)
		}
		style = bytes.ReplaceAll(style, []byte(placeholder), []byte("url("+address+")"))
	}
	a.Style = a.add("style.css", "text/css; charset=utf-8", withoutComments(style))
	a.Script = a.add("suggest.js", "text/javascript; charset=utf-8", script)
	return a, nil
}

// add takes an asset in and returns its address.
func (a *assets) add(name, contentType string, body []byte) string {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	name = strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.byName[name] = asset{contentType: contentType, body: body}
	return "/assets/" + name
}

// withoutComments drops the comments of a stylesheet: the reasons in it are for those who edit it. No string in ours
// contains "/*".
func withoutComments(css []byte) []byte {
	var out []byte
	for {
		before, after, found := bytes.Cut(css, []byte("/*"))
		out = append(out, before...)
		if !found {
			return bytes.ReplaceAll(out, []byte("\n\n"), []byte("\n"))
		}
		if _, css, found = bytes.Cut(after, []byte("*/")); !found {
			return out
		}
	}
}

// favicon answers both names with the same drawing: browsers that request .ico unasked go by the type.
func (a *assets) favicon(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "public, max-age=86400")
	// It is the one asset that can be opened as a document; it has a style for the dark theme.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_, _ = w.Write(a.icon)
}
