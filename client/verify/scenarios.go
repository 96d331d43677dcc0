package verify

import "slices"

// Scenarios returns all of them, by area.
func Scenarios() []Scenario {
	all := slices.Concat(
		catalogueScenarios(), catalogueWalkScenarios(), searchScenarios(),
		ratingScenarios(), ratingListScenarios(), rankingScenarios(),
		detailScenarios(), composedScenarios(),
		bookScenarios(),
		eventScenarios(), orderScenarios(), poisonScenarios(),
		restFilmScenarios(), restRatingScenarios(), restReadScenarios(), restEdgeScenarios(),
		pageScenarios(),
		operationScenarios(),
	)
	slices.SortStableFunc(all, func(a, b Scenario) int {
		return slices.Index(Areas(), a.Area) - slices.Index(Areas(), b.Area)
	})
	return all
}
