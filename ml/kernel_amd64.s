//go:build amd64 && !purego

#include "textflag.h"

// func dotRowsAVX2(out, x, base *float32, idx *int32, n, stride, cols int)
//
// out[i] = x · row(idx[i]). Four rows at a time, so that four sums are in flight and one tree of
// horizontal adds ends all four.
TEXT ·dotRowsAVX2(SB), NOSPLIT, $0-56
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ base+16(FP), BX
	MOVQ idx+24(FP), DX
	MOVQ n+32(FP), CX
	MOVQ stride+40(FP), R8
	MOVQ cols+48(FP), R9
	SHLQ $2, R8
	SHLQ $2, R9
	SUBQ $4, CX
	JL   tail

four:
	MOVLQSX 0(DX), R10
	MOVLQSX 4(DX), R11
	MOVLQSX 8(DX), R12
	MOVLQSX 12(DX), R13
	IMULQ   R8, R10
	IMULQ   R8, R11
	IMULQ   R8, R12
	IMULQ   R8, R13
	ADDQ    BX, R10
	ADDQ    BX, R11
	ADDQ    BX, R12
	ADDQ    BX, R13
	VXORPS  Y0, Y0, Y0
	VXORPS  Y1, Y1, Y1
	VXORPS  Y2, Y2, Y2
	VXORPS  Y3, Y3, Y3
	XORQ    AX, AX

four_cols:
	VMOVUPS     (SI)(AX*1), Y8
	VFMADD231PS (R10)(AX*1), Y8, Y0
	VFMADD231PS (R11)(AX*1), Y8, Y1
	VFMADD231PS (R12)(AX*1), Y8, Y2
	VFMADD231PS (R13)(AX*1), Y8, Y3
	ADDQ        $32, AX
	CMPQ        AX, R9
	JLT         four_cols

	VHADDPS      Y1, Y0, Y4
	VHADDPS      Y3, Y2, Y5
	VHADDPS      Y5, Y4, Y6
	VEXTRACTF128 $1, Y6, X7
	VADDPS       X7, X6, X6
	VMOVUPS      X6, (DI)
	ADDQ         $16, DI
	ADDQ         $16, DX
	SUBQ         $4, CX
	JGE          four

tail:
	ADDQ $4, CX
	JZ   done

one:
	MOVLQSX 0(DX), R10
	IMULQ   R8, R10
	ADDQ    BX, R10
	VXORPS  Y0, Y0, Y0
	XORQ    AX, AX

one_cols:
	VMOVUPS     (SI)(AX*1), Y8
	VFMADD231PS (R10)(AX*1), Y8, Y0
	ADDQ        $32, AX
	CMPQ        AX, R9
	JLT         one_cols

	VHADDPS      Y0, Y0, Y4
	VHADDPS      Y4, Y4, Y4
	VEXTRACTF128 $1, Y4, X7
	VADDSS       X7, X4, X4
	VMOVSS       X4, (DI)
	ADDQ         $4, DI
	ADDQ         $4, DX
	DECQ         CX
	JNZ          one

done:
	VZEROUPPER
	RET

// func axpyRowsAVX2(dst, t, base *float32, idx *int32, n, stride, cols int)
//
// dst += Σ t[i]·row(idx[i]), in the order of i. The columns are cut into blocks of 64, 32 and 8
// whose sums stay in registers while the rows pass by.
TEXT ·axpyRowsAVX2(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ t+8(FP), SI
	MOVQ base+16(FP), BX
	MOVQ idx+24(FP), DX
	MOVQ n+32(FP), CX
	MOVQ stride+40(FP), R8
	MOVQ cols+48(FP), R9
	SHLQ $2, R8

block64:
	CMPQ R9, $64
	JLT  block32
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VMOVUPS 128(DI), Y4
	VMOVUPS 160(DI), Y5
	VMOVUPS 192(DI), Y6
	VMOVUPS 224(DI), Y7
	XORQ    AX, AX

rows64:
	MOVLQSX      (DX)(AX*4), R10
	VBROADCASTSS (SI)(AX*4), Y8
	IMULQ        R8, R10
	ADDQ         BX, R10
	VFMADD231PS  0(R10), Y8, Y0
	VFMADD231PS  32(R10), Y8, Y1
	VFMADD231PS  64(R10), Y8, Y2
	VFMADD231PS  96(R10), Y8, Y3
	VFMADD231PS  128(R10), Y8, Y4
	VFMADD231PS  160(R10), Y8, Y5
	VFMADD231PS  192(R10), Y8, Y6
	VFMADD231PS  224(R10), Y8, Y7
	INCQ         AX
	CMPQ         AX, CX
	JLT          rows64

	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VMOVUPS Y4, 128(DI)
	VMOVUPS Y5, 160(DI)
	VMOVUPS Y6, 192(DI)
	VMOVUPS Y7, 224(DI)
	ADDQ    $256, DI
	ADDQ    $256, BX
	SUBQ    $64, R9
	JMP     block64

block32:
	CMPQ R9, $32
	JLT  block8
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	XORQ    AX, AX

rows32:
	MOVLQSX      (DX)(AX*4), R10
	VBROADCASTSS (SI)(AX*4), Y8
	IMULQ        R8, R10
	ADDQ         BX, R10
	VFMADD231PS  0(R10), Y8, Y0
	VFMADD231PS  32(R10), Y8, Y1
	VFMADD231PS  64(R10), Y8, Y2
	VFMADD231PS  96(R10), Y8, Y3
	INCQ         AX
	CMPQ         AX, CX
	JLT          rows32

	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ    $128, DI
	ADDQ    $128, BX
	SUBQ    $32, R9

block8:
	CMPQ R9, $8
	JLT  end
	VMOVUPS 0(DI), Y0
	XORQ    AX, AX

rows8:
	MOVLQSX      (DX)(AX*4), R10
	VBROADCASTSS (SI)(AX*4), Y8
	IMULQ        R8, R10
	VFMADD231PS  (BX)(R10*1), Y8, Y0
	INCQ         AX
	CMPQ         AX, CX
	JLT          rows8

	VMOVUPS Y0, 0(DI)
	ADDQ    $32, DI
	ADDQ    $32, BX
	SUBQ    $8, R9
	JMP     block8

end:
	VZEROUPPER
	RET

// func axpyTileAVX512(dst, coefs, tile *float32, fours, rows, stride, step int)
//
// Four rows of 64 columns at a time: their sums stay in sixteen registers while the rows of the tile, which the first-level
// cache holds, pass by. Of the four that come next the cache is told beforehand.
TEXT ·axpyTileAVX512(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ coefs+8(FP), SI
	MOVQ tile+16(FP), BX
	MOVQ fours+24(FP), DX
	MOVQ rows+32(FP), CX
	MOVQ stride+40(FP), R8
	MOVQ step+48(FP), R9
	SHLQ $2, R8
	SHLQ $2, R9

rows4:
	LEAQ (DI)(R8*1), R10
	LEAQ (DI)(R8*2), R11
	LEAQ (R10)(R8*2), R12
	VMOVUPS 0(DI), Z0
	VMOVUPS 64(DI), Z1
	VMOVUPS 128(DI), Z2
	VMOVUPS 192(DI), Z3
	VMOVUPS 0(R10), Z4
	VMOVUPS 64(R10), Z5
	VMOVUPS 128(R10), Z6
	VMOVUPS 192(R10), Z7
	VMOVUPS 0(R11), Z8
	VMOVUPS 64(R11), Z9
	VMOVUPS 128(R11), Z10
	VMOVUPS 192(R11), Z11
	VMOVUPS 0(R12), Z12
	VMOVUPS 64(R12), Z13
	VMOVUPS 128(R12), Z14
	VMOVUPS 192(R12), Z15
	LEAQ (DI)(R8*4), R13
	PREFETCHT0 0(R13)
	PREFETCHT0 64(R13)
	PREFETCHT0 128(R13)
	PREFETCHT0 192(R13)
	ADDQ R8, R13
	PREFETCHT0 0(R13)
	PREFETCHT0 64(R13)
	PREFETCHT0 128(R13)
	PREFETCHT0 192(R13)
	ADDQ R8, R13
	PREFETCHT0 0(R13)
	PREFETCHT0 64(R13)
	PREFETCHT0 128(R13)
	PREFETCHT0 192(R13)
	ADDQ R8, R13
	PREFETCHT0 0(R13)
	PREFETCHT0 64(R13)
	PREFETCHT0 128(R13)
	PREFETCHT0 192(R13)
	LEAQ (SI)(R9*1), R10
	LEAQ (SI)(R9*2), R11
	LEAQ (R10)(R9*2), R12
	MOVQ BX, R13
	XORQ AX, AX

tile4:
	VMOVUPS      0(R13), Z16
	VMOVUPS      64(R13), Z17
	VMOVUPS      128(R13), Z18
	VMOVUPS      192(R13), Z19
	VBROADCASTSS (SI)(AX*4), Z20
	VBROADCASTSS (R10)(AX*4), Z21
	VBROADCASTSS (R11)(AX*4), Z22
	VBROADCASTSS (R12)(AX*4), Z23
	VFMADD231PS  Z16, Z20, Z0
	VFMADD231PS  Z17, Z20, Z1
	VFMADD231PS  Z18, Z20, Z2
	VFMADD231PS  Z19, Z20, Z3
	VFMADD231PS  Z16, Z21, Z4
	VFMADD231PS  Z17, Z21, Z5
	VFMADD231PS  Z18, Z21, Z6
	VFMADD231PS  Z19, Z21, Z7
	VFMADD231PS  Z16, Z22, Z8
	VFMADD231PS  Z17, Z22, Z9
	VFMADD231PS  Z18, Z22, Z10
	VFMADD231PS  Z19, Z22, Z11
	VFMADD231PS  Z16, Z23, Z12
	VFMADD231PS  Z17, Z23, Z13
	VFMADD231PS  Z18, Z23, Z14
	VFMADD231PS  Z19, Z23, Z15
	ADDQ         $256, R13
	INCQ         AX
	CMPQ         AX, CX
	JLT          tile4

	LEAQ (DI)(R8*1), R10
	LEAQ (DI)(R8*2), R11
	LEAQ (R10)(R8*2), R12
	VMOVUPS Z0, 0(DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	VMOVUPS Z4, 0(R10)
	VMOVUPS Z5, 64(R10)
	VMOVUPS Z6, 128(R10)
	VMOVUPS Z7, 192(R10)
	VMOVUPS Z8, 0(R11)
	VMOVUPS Z9, 64(R11)
	VMOVUPS Z10, 128(R11)
	VMOVUPS Z11, 192(R11)
	VMOVUPS Z12, 0(R12)
	VMOVUPS Z13, 64(R12)
	VMOVUPS Z14, 128(R12)
	VMOVUPS Z15, 192(R12)
	LEAQ (DI)(R8*4), DI
	LEAQ (SI)(R9*4), SI
	DECQ DX
	JNZ  rows4

	VZEROUPPER
	RET

// func coarseSumsAVX2(out *float32, rows *int8, query *int16, fours, stride int)
//
// Four rows at a time, sixteen values of each: they are widened to 16 bits, multiplied, and summed in pairs to 32.
TEXT ·coarseSumsAVX2(SB), NOSPLIT, $0-40
	MOVQ out+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ query+16(FP), BX
	MOVQ fours+24(FP), CX
	MOVQ stride+32(FP), R8

rows:
	LEAQ  (SI)(R8*1), R10
	LEAQ  (SI)(R8*2), R11
	LEAQ  (R10)(R8*2), R12
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	XORQ  AX, AX

cols:
	VMOVDQU   (BX)(AX*2), Y8
	VPMOVSXBW (SI)(AX*1), Y4
	VPMOVSXBW (R10)(AX*1), Y5
	VPMOVSXBW (R11)(AX*1), Y6
	VPMOVSXBW (R12)(AX*1), Y7
	VPMADDWD  Y8, Y4, Y4
	VPMADDWD  Y8, Y5, Y5
	VPMADDWD  Y8, Y6, Y6
	VPMADDWD  Y8, Y7, Y7
	VPADDD    Y4, Y0, Y0
	VPADDD    Y5, Y1, Y1
	VPADDD    Y6, Y2, Y2
	VPADDD    Y7, Y3, Y3
	ADDQ      $16, AX
	CMPQ      AX, R8
	JLT       cols

	VPHADDD      Y1, Y0, Y0
	VPHADDD      Y3, Y2, Y2
	VPHADDD      Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD       X1, X0, X0
	VCVTDQ2PS    X0, X0
	VMOVUPS      X0, (DI)
	ADDQ         $16, DI
	LEAQ         (SI)(R8*4), SI
	DECQ         CX
	JNZ          rows

	VZEROUPPER
	RET

// func coarseWidthsAVX2(lo, hi, step, size, rest *float32, w *widths, n int)
TEXT ·coarseWidthsAVX2(SB), NOSPLIT, $0-56
	MOVQ         lo+0(FP), DI
	MOVQ         hi+8(FP), SI
	MOVQ         step+16(FP), BX
	MOVQ         size+24(FP), DX
	MOVQ         rest+32(FP), R8
	MOVQ         w+40(FP), R9
	MOVQ         n+48(FP), CX
	VBROADCASTSS 0(R9), Y8
	VBROADCASTSS 4(R9), Y9
	VBROADCASTSS 8(R9), Y10
	VBROADCASTSS 12(R9), Y11
	VBROADCASTSS 16(R9), Y12
	XORQ         AX, AX

widths:
	VMOVUPS (BX)(AX*4), Y0
	VMULPS  Y0, Y8, Y1
	VMULPS  (DI)(AX*4), Y1, Y1
	VMULPS  (R8)(AX*4), Y9, Y2
	VMULPS  (DX)(AX*4), Y10, Y3
	VMULPS  Y0, Y11, Y4
	VADDPS  Y3, Y2, Y2
	VADDPS  Y4, Y2, Y2
	VADDPS  Y12, Y2, Y2
	VSUBPS  Y2, Y1, Y3
	VADDPS  Y2, Y1, Y4
	VMOVUPS Y3, (DI)(AX*4)
	VMOVUPS Y4, (SI)(AX*4)
	ADDQ    $8, AX
	CMPQ    AX, CX
	JLT     widths

	VZEROUPPER
	RET
