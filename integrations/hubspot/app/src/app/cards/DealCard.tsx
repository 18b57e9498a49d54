import { hubspot } from '@hubspot/ui-extensions';
import React from 'react';
import { RecordCard } from '@ledgerbridge/shared';
import type { RecordCardProps } from '@ledgerbridge/shared';

/** A deal and its invoice in the ledger. */
export const DealCard = (props: RecordCardProps) => <RecordCard {...props} />;

hubspot.extend<'crm.record.sidebar'>(({ context, actions }) => <DealCard context={context} actions={actions} />);
