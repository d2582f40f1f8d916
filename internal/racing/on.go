//go:build race

package racing

const detected = true
