//go:build amd64 && !purego

#include "textflag.h"

// func scaleAVX2(v *float32, by float32, n int)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-24
	MOVQ         v+0(FP), DI
	VBROADCASTSS by+8(FP), Y1
	MOVQ         n+16(FP), CX
	XORQ         AX, AX

loop:
	VMULPS  (DI)(AX*4), Y1, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     loop
	VZEROUPPER
	RET

// func mixAVX2(dst, x *float32, a float32, y *float32, b float32, n int)
//
// Y5 is -Inf: where x is that, the sum gives way to it.
TEXT ·mixAVX2(SB), NOSPLIT, $0-48
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	VBROADCASTSS a+16(FP), Y3
	MOVQ         y+24(FP), DX
	VBROADCASTSS b+32(FP), Y4
	MOVQ         n+40(FP), CX
	MOVL         $0xff800000, AX
	MOVQ         AX, X5
	VBROADCASTSS X5, Y5
	XORQ         AX, AX

loop:
	VMOVUPS   (SI)(AX*4), Y0
	VMULPS    (DX)(AX*4), Y4, Y1
	VMULPS    Y0, Y3, Y2
	VADDPS    Y1, Y2, Y2
	VCMPPS    $0, Y5, Y0, Y6
	VBLENDVPS Y6, Y5, Y2, Y2
	VMOVUPS   Y2, (DI)(AX*4)
	ADDQ      $8, AX
	CMPQ      AX, CX
	JLT       loop
	VZEROUPPER
	RET

// The greatest of the eight in Y0 goes to X0.
#define GREATEST \
	VEXTRACTF128 $1, Y0, X1; \
	VMAXPS       X1, X0, X0; \
	VPERMILPS    $0x4e, X0, X1; \
	VMAXPS       X1, X0, X0; \
	VPERMILPS    $0xb1, X0, X1; \
	VMAXPS       X1, X0, X0

// func multiplyAVX2(dst, x, y *float32, n int) float32
//
// The maximum of a value and the greatest so far is the latter where one of them is NaN.
TEXT ·multiplyAVX2(SB), NOSPLIT, $0-36
	MOVQ   dst+0(FP), DI
	MOVQ   x+8(FP), SI
	MOVQ   y+16(FP), DX
	MOVQ   n+24(FP), CX
	VXORPS Y0, Y0, Y0
	XORQ   AX, AX

loop:
	VMOVUPS (SI)(AX*4), Y2
	VMULPS  (DX)(AX*4), Y2, Y2
	VMOVUPS Y2, (DI)(AX*4)
	VMAXPS  Y0, Y2, Y0
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     loop
	GREATEST
	VMOVSS  X0, ret+32(FP)
	VZEROUPPER
	RET

// func mostAVX2(v, unless *float32, n int) float32
TEXT ·mostAVX2(SB), NOSPLIT, $0-28
	MOVQ         v+0(FP), SI
	MOVQ         unless+8(FP), DX
	MOVQ         n+16(FP), CX
	MOVL         $0xff800000, AX
	MOVQ         AX, X5
	VBROADCASTSS X5, Y5
	VXORPS       Y0, Y0, Y0
	XORQ         AX, AX

loop:
	VMOVUPS   (SI)(AX*4), Y2
	VCMPPS    $0, (DX)(AX*4), Y5, Y3
	VBLENDVPS Y3, Y5, Y2, Y2
	VMAXPS    Y0, Y2, Y0
	ADDQ      $8, AX
	CMPQ      AX, CX
	JLT       loop
	GREATEST
	VMOVSS    X0, ret+24(FP)
	VZEROUPPER
	RET

// func aboveAVX2(v *float32, least float32, n int) int
TEXT ·aboveAVX2(SB), NOSPLIT, $0-32
	MOVQ         v+0(FP), SI
	VBROADCASTSS least+8(FP), Y1
	MOVQ         n+16(FP), CX
	XORQ         AX, AX

loop:
	VCMPPS    $1, (SI)(AX*4), Y1, Y0
	VMOVMSKPS Y0, DX
	TESTL     DX, DX
	JNZ       found
	ADDQ      $8, AX
	CMPQ      AX, CX
	JLT       loop

found:
	MOVQ AX, ret+24(FP)
	VZEROUPPER
	RET
