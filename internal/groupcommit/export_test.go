package groupcommit

// Waiting is how many writes wait.
func Waiting[W, R any](g *Group[W, R]) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}
