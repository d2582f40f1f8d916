//go:build !race

package racing

const detected = false
