//go:build !unix

package connlimit

// descriptorLimit is 0: a Windows process may have 16 million handles, which are not numbered from the lowest that is free.
func descriptorLimit() int { return 0 }
