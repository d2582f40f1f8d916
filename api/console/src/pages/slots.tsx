// What else can be done with a model version: it is trained again and compared, or serves a slot beside production.
import { useState } from 'preact/hooks'
import { command, segment } from '../api'
import { Confirm } from '../confirm'
import { go, to } from '../router'
import { t } from '../text'
import { noCommands } from '../timebar'
import type { Deployment, Model, Operation } from '../types'
import { instead } from './modelacts'

interface Version { name: string; n: number; model: Model; slots: Deployment[] } // as they were read

export function VersionActs({ look, ...read }: Version & { look: () => void }) {
	const [asking, setAsking] = useState<(Version & { what: 'rebuild' | 'slot' }) | null>(null)
	const off = noCommands()
	const close = () => setAsking(null)
	return (
		<>
			<button type="button" data-focus="rebuild" disabled={off !== ''} title={off} onClick={() => setAsking({ ...read, what: 'rebuild' })}>{t.rebuild}…</button>
			<button type="button" data-focus="slot" disabled={off !== ''} title={off} onClick={() => setAsking({ ...read, what: 'slot' })}>{t.otherSlot}…</button>
			{asking?.what === 'rebuild' && <Rebuild {...asking} close={close} />}
			{asking?.what === 'slot' && <Slot {...asking} close={close} look={look} />}
		</>
	)
}

// Rebuild is an operation, which is followed on its own page.
function Rebuild({ name, n, close }: Version & { close: () => void }) {
	const version = `${name} ${n}`
	return (
		<Confirm title={t.rebuildVersion(version)} does={t.rebuildVersion(version)} what={<p>{t.rebuildWhat(version)} {t.operationGoesOn}</p>} close={close} done={o => go(to(['system', 'operations', (o as Operation).operation_id]))}
			act={(_, key) => command('POST', `/api/v1/ops/models/${segment(name)}/${n}/rebuild`, {}, { key, goesOn: true })} />
	)
}

function Slot({ name, n, model, slots, close, look }: Version & { close: () => void; look: () => void }) {
	const [slot, setSlot] = useState('')
	const now = slots.find(d => d.slot === slot)
	return (
		<Confirm title={`${t.otherSlot}: ${name} ${n}`} does={t.deployVersion(name, n)} reason="welcome" of={slot} off={slot === 'production'} close={close} done={look} look={look}
			what={<p>{slot === '' ? t.otherSlotWhat : slot === 'production' ? t.productionElsewhere : t.slotWillServe(slot, now ? `${now.model} ${now.version}` : t.none, `${name} ${n}`)}</p>}
			act={(reason, key) => command('POST', `/api/v1/models/${segment(name)}/versions/${n}/deploy`, { slot, reason, instead_of: instead(now) }, { key, revision: model.revision })}>
			<label>{t.slot}<input name="slot" value={slot} required autofocus list="slots" onInput={e => setSlot(e.currentTarget.value.trim())} /><datalist id="slots">{slots.filter(d => d.slot !== 'production').map(d => <option key={d.slot} value={d.slot} />)}</datalist></label>
		</Confirm>
	)
}
