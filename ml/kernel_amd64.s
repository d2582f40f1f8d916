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
