// What leads to what, drawn from left to right.
import { useMemo } from 'preact/hooks'
import { useLater } from './later'
import { Fault, Skeleton } from './parts/states'

export interface Node { id: string; label: string; href?: string; asked?: boolean; tone?: string }
export interface Edge { from: string; to: string; label?: string }

const wide = 190
const high = 26

export function Graph({ nodes, edges, label }: { nodes: Node[]; edges: Edge[]; label: string }) {
	const { file, problem, again } = useLater('layout')
	const laid = useMemo(() => file?.layOut(nodes.map(n => n.id), edges, wide, high), [file, nodes.map(n => n.id).join(' '), edges.map(e => e.from + e.to).join(' ')])
	if (!laid) return problem ? <Fault problem={problem} again={again} /> : <Skeleton />
	const short = (s: string) => (s.length > 27 ? `${s.slice(0, 14)}…${s.slice(-11)}` : s)
	return (
		<div class="scroll-x" tabIndex={0} role="group" aria-label={label}>
			<svg class="graph" width={laid.width} height={laid.height} viewBox={`0 0 ${laid.width} ${laid.height}`}>
				{edges.map(e => {
					const points = laid.edges[`${e.from}\n${e.to}`]
					return points?.length ? <path key={`${e.from} ${e.to} ${e.label}`} class="edge" d={`M${points.map(p => `${p.x} ${p.y}`).join('L')}`}><title>{`${e.from} → ${e.to} ${e.label ?? ''}`}</title></path> : null
				})}
				{nodes.map(n => {
					const at = laid.nodes[n.id]
					if (!at) return null // it came since
					const box = <><rect x={at.x - wide / 2} y={at.y - high / 2} width={wide} height={high} rx="4" class={`node${n.asked ? ' asked' : ''} ${n.tone ?? ''}`} /><text x={at.x} y={at.y + 4} text-anchor="middle">{short(n.label)}</text><title>{n.label}</title></>
					return n.href ? <a key={n.id} href={n.href}>{box}</a> : <g key={n.id}>{box}</g>
				})}
			</svg>
		</div>
	)
}
