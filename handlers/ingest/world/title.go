package world

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

var (
	adjectives = strings.Fields(`amber ashen backward borrowed brittle candid clockwork copper crooked distant drowned electric
		eleventh empty faithful feathered forgotten frozen gilded hollow idle inland jagged kindly lacquered lantern-lit
		last lesser lunar midnight moonless nameless narrow northern obedient opal paper patient phantom quarrelsome
		quiet reluctant restless rusted salted scarlet secondhand sleepless sugar sunken tidal unfinished unlikely
		velvet vanishing wandering weightless wintering wooden`)
	nouns = strings.Fields(`accordion almanac archive arsonist astronomer atlas avalanche bakery ballad balcony barometer beekeeper
		bicycle blueprint bonfire botanist broadcast cabinet cartographer cathedral chandelier choir clockmaker comet
		compass constellation courier customs dictionary diver echo embassy engine expedition falconer ferry fiddle
		forecast fountain garrison glacier gramophone greenhouse harvest heiress horizon icebreaker inheritance island
		juggler kingdom labyrinth ledger lighthouse locksmith lullaby magician meridian migration mirage monsoon mutiny
		needle notary observatory orchard orchestra parade passenger pendulum photograph pilgrim postcard puppet
		quarry railway rebellion rehearsal reservoir saboteur satellite seamstress silhouette smuggler snowfall
		staircase stranger submarine suitcase sundial tailor telegram tempest tunnel typist understudy verdict
		violinist volcano voyage waltz weaver widow windmill witness wreck`)
	places = []string{"Ardenmoor", "Bellhaven", "Calder's Reach", "Carrow Bay", "Dunmarrow", "Eastwater", "Fallow Point", "Fennick Street",
		"Gallowmere", "Harrowgate Lane", "Iverness Junction", "Juniper Hill", "Kestrel Sound", "Low Tarrin", "Marrowby", "Merrin Cross",
		"Nettlebridge", "Old Vessany", "Pellucia", "Quillon Ridge", "Rookhaven", "Saint Orla", "Silverpit", "Tamsin Falls",
		"Tolland Wharf", "Umberton", "Vantry", "Wexcombe", "Winter Quay", "Yarrow Gap", "Zelmira"}
	names = strings.Fields(`Adela Anselm Bettina Caspian Clementine Cosima Dmitri Edda Emeka Farida Florian Greta Hiroko Ignacio
		Imogen Jarek Juno Kasimir Leonie Lucan Magda Mirela Nadim Odile Oskar Petra Quentin Rosalind Rufus Sanna
		Solveig Tadeo Thandiwe Ulla Viggo Wilhelmina Yusuf Zora`)
	trades = strings.Fields(`accountant astronomer baker beekeeper blacksmith botanist cartographer clockmaker courier diver falconer
		interpreter judge juggler librarian locksmith magician mechanic notary nurse pickpocket pilot plumber projectionist
		puppeteer saboteur seamstress smuggler surgeon tailor teacher typist understudy violinist weaver`)
	counts = strings.Fields(`Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Forty Ninety`)
	tasks  = []string{"bury a secret", "win back a lost inheritance", "outrun an old debt", "prove that the machine is lying",
		"bring home a missing brother", "stage one last performance", "keep the bridge open for a night", "teach a rival to swim",
		"deliver a letter nobody sent", "hide a witness in plain sight", "find who has been moving the clocks", "save the town's only cinema"}
	deadlines = []string{"before the ferry leaves", "before the snow melts", "while the whole town is watching", "on the longest night of the year",
		"as the war comes closer", "without saying a word", "with one day left", "and falls in love on the way", "while the water rises"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// capital makes the first letter upper case, and those after a hyphen.
func capital(s string) string {
	parts := strings.Split(s, "-")
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, "-")
}

// titler gives no title twice.
type titler struct{ taken map[string]bool }

func (t *titler) draw(r *rand.Rand) string {
	const tries = 8 // then a sequel
	title := ""
	for range tries {
		title = invent(r)
		if !t.taken[title] {
			t.taken[title] = true
			return title
		}
	}
	for n := 2; ; n++ {
		if sequel := fmt.Sprintf("%s %d", title, n); !t.taken[sequel] {
			t.taken[sequel] = true
			return sequel
		}
	}
}

func invent(r *rand.Rand) string {
	adjective, noun, other := capital(pick(r, adjectives)), capital(pick(r, nouns)), capital(pick(r, nouns))
	switch r.IntN(9) {
	case 0, 1:
		return "The " + adjective + " " + noun
	case 2:
		return adjective + " " + noun
	case 3:
		return "The " + noun + " of " + pick(r, places)
	case 4:
		return pick(r, names) + " and the " + noun
	case 5:
		return "The " + noun + "'s " + other
	case 6:
		return pick(r, counts) + " Days in " + pick(r, places)
	case 7:
		return capital(article(noun)) + " for " + pick(r, names)
	default:
		return "Letters to the " + adjective + " " + noun
	}
}

// article goes before a word that begins with a letter of either kind.
func article(word string) string {
	if strings.ContainsRune("aeiouAEIOU", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

func overview(r *rand.Rand, genre string) string {
	return fmt.Sprintf("%s: in %s, %s and %s named %s have to %s %s.", genre, pick(r, places), article(pick(r, trades)),
		article(pick(r, adjectives)+" stranger"), pick(r, names), pick(r, tasks), pick(r, deadlines))
}
