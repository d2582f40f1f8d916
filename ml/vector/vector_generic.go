//go:build !amd64 || purego

package vector

func scale([]float32, float32) int { return 0 }

func mix(_, _ []float32, _ float32, _ []float32, _ float32) int { return 0 }

func multiply(_, _, _ []float32) (int, float32) { return 0, 0 }

func most(_, _ []float32) (int, float32) { return 0, 0 }

func above([]float32, float32) int { return 0 }
