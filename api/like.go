package api

// Like is SQL's LIKE: % of the pattern stands for any text, _ for any letter, everything else for itself. It takes time in
// proportion to the two lengths' product at most: a % takes as little as it can, and more when what follows does not fit.
func Like(pattern, text string) bool {
	like, s := []rune(pattern), []rune(text)
	p, at, star, from := 0, 0, -1, 0
	for at < len(s) {
		switch {
		case p < len(like) && like[p] == '%':
			star, from, p = p, at, p+1
		case p < len(like) && (like[p] == '_' || like[p] == s[at]):
			p, at = p+1, at+1
		case star >= 0:
			from++
			p, at = star+1, from
		default:
			return false
		}
	}
	for p < len(like) && like[p] == '%' {
		p++
	}
	return p == len(like)
}
