package main

import "strings"

// chosen returns the names that the patterns of --table mean, in the order of names:
// all of them without a pattern. Case does not count. A pattern that means none is an
// error, so that a slip does not make a command do less than it seems to.
func chosen(patterns, names []string) ([]string, error) {
	if len(patterns) == 0 {
		return names, nil
	}
	taken := map[string]bool{}
	for _, pattern := range patterns {
		found, err := matching(pattern, names)
		if err != nil {
			return nil, usagef("--table %q is no pattern: %w", pattern, err)
		}
		for _, name := range names {
			if strings.EqualFold(pattern, name) { // with brackets in it, which as a pattern mean another
				found = append(found, name)
			}
		}
		for _, name := range found {
			taken[name] = true
		}
		if found == nil {
			return nil, usagef("--table %q: there is no such table. There are %s", pattern, few(names))
		}
	}
	var list []string
	for _, name := range names {
		if taken[name] {
			list = append(list, name)
		}
	}
	return list, nil
}

// few lists names, and says how many there are when they are many.
func few(names []string) string {
	const most = 8
	if len(names) == 0 {
		return "none"
	}
	if len(names) <= most {
		return noBreaks(strings.Join(names, ", "))
	}
	return noBreaks(strings.Join(names[:most], ", ")) + " and " + number(int64(len(names)-most)) + " more"
}
