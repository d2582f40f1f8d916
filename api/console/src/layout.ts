// Where the parts of a graph stand, from left to right: a file of its own, loaded when the first graph is drawn.
import dagre from '@dagrejs/dagre'

export interface Point { x: number; y: number }
export interface Laid { width: number; height: number; nodes: Record<string, Point>; edges: Record<string, Point[]> } // edges by both ends, on a line each

// layOut places nodes of one size, and the edges between them.
export function layOut(nodes: string[], edges: { from: string; to: string }[], wide: number, high: number): Laid {
	const g = new dagre.graphlib.Graph()
	g.setGraph({ rankdir: 'LR', nodesep: 10, ranksep: 44, marginx: 6, marginy: 6 })
	g.setDefaultEdgeLabel(() => ({}))
	for (const n of nodes) g.setNode(n, { width: wide, height: high })
	for (const e of edges) if (g.hasNode(e.from) && g.hasNode(e.to)) g.setEdge(e.from, e.to)
	dagre.layout(g)
	const size = g.graph()
	const laid: Laid = { width: size.width ?? 0, height: size.height ?? 0, nodes: {}, edges: {} }
	for (const n of nodes) laid.nodes[n] = g.node(n)
	for (const e of edges) if (g.hasNode(e.from) && g.hasNode(e.to)) laid.edges[`${e.from}\n${e.to}`] = g.edge(e.from, e.to)?.points ?? []
	return laid
}
