// What a command changes is said before it is done, and it is done once, however often it is pressed.
import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { Problem } from './api'
import { announce, Dialog } from './keys'
import { Fault } from './parts/states'
import { t } from './text'

interface Asked {
	title: string
	does: string // what the button says
	what: ComponentChildren // what changes
	reason?: 'needed' | 'welcome' // whether one is asked for
	act: (reason: string, key: string) => Promise<unknown> // the same with the same key
	done: (answer: unknown) => void
	close: () => void
	look?: () => void // looks again, where it is refused
	children?: ComponentChildren // fields of its own
	of?: unknown // what these say: with another it is another command
	off?: boolean
}

export function Confirm({ title, does, what, reason: wanted, act, done, close, look, children, of, off }: Asked) {
	const [reason, setReason] = useState('')
	const [busy, setBusy] = useState(false)
	const under = useRef(false) // at once, also between two clicks
	const [problem, setProblem] = useState<Problem | null>(null)
	const sent = useRef({ what: '', key: '' })
	const go = async (e: Event) => {
		e.preventDefault()
		if (under.current) return
		under.current = true
		const now = JSON.stringify([reason, of])
		if (sent.current.what !== now) sent.current = { what: now, key: crypto.randomUUID?.() ?? String(Math.random()).slice(2) }
		setBusy(true)
		setProblem(null)
		try {
			const answer = await act(reason, sent.current.key)
			announce(`${title}: ${t.isDone}`)
			close()
			done(answer)
		} catch (p) {
			setProblem(p instanceof Problem ? p : new Problem({ title: String(p) }))
			setBusy(false)
			under.current = false
			look?.()
		}
	}
	return (
		<Dialog open close={close} title={title}>
			<form onSubmit={e => void go(e)}>
				<div class="wrap">{what}</div>
				{children}
				{wanted && <label>{wanted === 'needed' ? t.reason : `${t.reason} (${t.optional})`}<input name="reason" value={reason} required={wanted === 'needed'} autofocus={!children} onInput={e => setReason(e.currentTarget.value)} /></label>}
				{problem && <Fault problem={problem} />}
				<p class="buttons"><button type="submit" class="main" autofocus={!wanted && !children} disabled={busy || off === true}>{does}</button> <button type="button" onClick={close}>{t.close}</button></p>
			</form>
		</Dialog>
	)
}
