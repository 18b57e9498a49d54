import { hubspot } from '@hubspot/ui-extensions';
import React from 'react';
import { RecordCard } from '@ledgerbridge/shared';
import type { RecordCardProps } from '@ledgerbridge/shared';

/** A company and its customer in the ledger. */
export const CompanyCard = (props: RecordCardProps) => <RecordCard {...props} />;

hubspot.extend<'crm.record.sidebar'>(({ context, actions }) => <CompanyCard context={context} actions={actions} />);
