// What leads to what, drawn from left to right.
import dagre from '@dagrejs/dagre'
import { useMemo } from 'preact/hooks'

export interface Node { id: string; label: string; href?: string; asked?: boolean; tone?: string }
export interface Edge { from: string; to: string; label?: string }

const wide = 190
const high = 26

export function Graph({ nodes, edges, label }: { nodes: Node[]; edges: Edge[]; label: string }) {
	const laid = useMemo(() => {
		const g = new dagre.graphlib.Graph()
		g.setGraph({ rankdir: 'LR', nodesep: 10, ranksep: 44, marginx: 6, marginy: 6 })
		g.setDefaultEdgeLabel(() => ({}))
		for (const n of nodes) g.setNode(n.id, { width: wide, height: high })
		for (const e of edges) if (g.hasNode(e.from) && g.hasNode(e.to)) g.setEdge(e.from, e.to)
		dagre.layout(g)
		return g
	}, [nodes.map(n => n.id).join(' '), edges.map(e => e.from + e.to).join(' ')])
	const size = laid.graph()
	const short = (s: string) => (s.length > 27 ? `${s.slice(0, 14)}…${s.slice(-11)}` : s)
	return (
		<div class="scroll-x" tabIndex={0} role="group" aria-label={label}>
			<svg class="graph" width={size.width ?? 0} height={size.height ?? 0} viewBox={`0 0 ${size.width ?? 0} ${size.height ?? 0}`}>
				{edges.map(e => {
					const points = laid.hasNode(e.from) && laid.hasNode(e.to) ? laid.edge(e.from, e.to)?.points : undefined
					return points ? <path key={`${e.from} ${e.to} ${e.label}`} class="edge" d={`M${points.map((p: { x: number; y: number }) => `${p.x} ${p.y}`).join('L')}`}><title>{`${e.from} → ${e.to} ${e.label ?? ''}`}</title></path> : null
				})}
				{nodes.map(n => {
					const at = laid.node(n.id)
					const box = <><rect x={at.x - wide / 2} y={at.y - high / 2} width={wide} height={high} rx="4" class={`node${n.asked ? ' asked' : ''} ${n.tone ?? ''}`} /><text x={at.x} y={at.y + 4} text-anchor="middle">{short(n.label)}</text><title>{n.label}</title></>
					return n.href ? <a key={n.id} href={n.href}>{box}</a> : <g key={n.id}>{box}</g>
				})}
			</svg>
		</div>
	)
}
