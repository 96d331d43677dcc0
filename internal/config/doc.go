// Package config fills a nested struct from the places an operator can set things: command-line flags,
// environment variables and one YAML file, over the defaults in the struct.
//
// It owns the naming and the precedence, and it remembers where each value came from. It knows no setting: the
// program hands it a struct, and every exported field becomes one setting or one section.
//
//	type Rating struct {
//		ChartMinVotes int    `yaml:"chart_min_votes" usage:"votes a film needs to enter the top chart"`
//		Password      string `yaml:"password" usage:"password of the database" secret:"true"`
//	}
//	type Config struct {
//		Rating Rating `yaml:"rating"`
//	}
//
// # Names
//
// The path of a setting is the chain of its yaml keys, and all its other names follow from the path:
//
//	path         rating.chart_min_votes
//	YAML         rating: {chart_min_votes: 25}
//	environment  MOVIEEXAMPLE_RATING_CHART_MIN_VOTES
//	flag         --rating-chart-min-votes
//
// Tags on a field:
//
//	yaml         the key, lower_snake_case; required on every exported field ("-" leaves a field out)
//	usage        one line for help texts; required on every setting
//	flag         another flag name, for the few settings that people type every day
//	placeholder  the value's placeholder in help texts, such as "host:port"
//	secret       "true": the value is masked wherever it is shown, and MOVIEEXAMPLE_…_FILE may name a file that
//	             holds it (one trailing newline is cut off). Secrets are strings. A secret that is set but empty,
//	             from any source, is an error: a file that was never written must not mean "no secret".
//
// # Precedence
//
// Flags beat the environment, the environment beats the file, the file beats the defaults. Within one source a
// setting can be given once; lists are replaced, never merged across sources.
//
// # Promises
//
//   - Nothing is ignored. An unknown key in the file and an unknown MOVIEEXAMPLE_… variable are errors which name
//     the nearest known name, because with an ignored typo the system runs with the wrong settings.
//   - All problems are reported together, each with its path, the place where it was set, the value and what is allowed.
//   - Load is all or nothing: after an error the struct is unchanged.
//   - One grammar: a text has the same meaning in a flag, a variable and the file. Only lists differ: comma-separated in
//     flags and variables, a YAML list in the file.
//   - Load reads the output of YAML back to the same values, except for secrets: YAML prints them as comments, or, if they
//     came from a file, as the mask, which Load refuses.
//
// # Refusals
//
// It does not check the meaning of a value. The Validate method of the config type does, which its owner passes to
// Load; with [Problem], [Under] and [Set.Locate] such a check reports problems in the same form. It does not watch files, and it
// expands no variables inside values.
package config
