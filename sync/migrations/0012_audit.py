"""Settings have a history: who changed what, from what to what. Rows that are there begin theirs as they are now."""

from __future__ import annotations

import django.db.models.deletion
import simple_history.models
import uuid
from django.conf import settings
from django.db import migrations, models

from integrations.audit_begin import begin_history


def begin(apps, schema_editor):
    begin_history(apps, schema_editor, "sync", ["ChatChannel", "Flow", "FlowPass", "NoticePreference"])


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("sync", "0011_matching"),
        ("integrations", "0009_audit"),
        ("mappings", "0006_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoricalChatChannel',
            fields=[
                ('id', models.UUIDField(db_index=True, default=uuid.uuid4, editable=False)),
                ('host', models.CharField(blank=True, max_length=200, verbose_name='host')),
                ('language', models.CharField(default='en', max_length=10, verbose_name='language')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'historical chat channel',
                'verbose_name_plural': 'historical chat channels',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalFlow',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('slug', models.SlugField(help_text='Names the mapping set that this flow uses.', verbose_name='kind')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='Flows run in this order.', verbose_name='order')),
                ('source_side', models.CharField(choices=[('crm', 'CRM'), ('ledger', 'Fortnox')], max_length=10, verbose_name='source side')),
                ('source_object', models.CharField(max_length=50, verbose_name='source object')),
                ('target_side', models.CharField(choices=[('crm', 'CRM'), ('ledger', 'Fortnox')], max_length=10, verbose_name='target side')),
                ('target_object', models.CharField(max_length=50, verbose_name='target object')),
                ('enabled', models.BooleanField(default=False, help_text='Off: nothing new is planned, and queued changes are held, not lost.', verbose_name='on')),
                ('takes', models.CharField(choices=[('all', 'Every record that passes the filter'), ('linked', 'Only records that were written before, and those that a person asks for'), ('known', 'Only records that are linked, whichever side they began on, and those that a person asks for'), ('returned', 'Only counterparts of records that began on the other side'), ('own', 'All but counterparts of records that began on the other side')], default='all', max_length=10, verbose_name='takes')),
                ('scheduled', models.BooleanField(default=True, help_text='Off: it works only when a person or another flow asks.', verbose_name='runs on schedule')),
                ('every_minutes', models.PositiveIntegerField(default=30, verbose_name='every (minutes)')),
                ('follow_up', models.SlugField(blank=True, editable=False, help_text='The flow that carries numbers and states of what this one created back to its source.', verbose_name='writes back through')),
                ('settings', models.JSONField(blank=True, default=dict, verbose_name='settings')),
                ('approval', models.CharField(choices=[('first_run', 'First run by hand, then automatic'), ('automatic', 'Automatic'), ('always', 'Always by hand')], default='first_run', max_length=20, verbose_name='approval')),
                ('may_create', models.BooleanField(default=True, verbose_name='may create')),
                ('may_update', models.BooleanField(default=True, verbose_name='may update')),
                ('filter_expression', models.TextField(blank=True, help_text='Only records for which this expression is true. Empty: all.', verbose_name='filter')),
                ('amount_field', models.CharField(blank=True, editable=False, max_length=100, verbose_name='amount field')),
                ('currency_field', models.CharField(blank=True, editable=False, max_length=100, verbose_name='currency field')),
                ('brake_amount', models.DecimalField(blank=True, decimal_places=2, help_text='A single change over this amount waits for approval. Empty: no limit.', max_digits=14, null=True, verbose_name='brake: amount')),
                ('max_creates_per_hour', models.PositiveIntegerField(blank=True, help_text='Further creates wait for approval. Empty: no limit.', null=True, verbose_name='limit: creates per hour')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('integration', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.integration', verbose_name='integration')),
            ],
            options={
                'verbose_name': 'historical flow',
                'verbose_name_plural': 'historical flows',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalFlowPass',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('subset', models.CharField(max_length=50, verbose_name='subset')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('every_minutes', models.PositiveIntegerField(default=1440, verbose_name='every (minutes)')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('flow', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='sync.flow', verbose_name='flow')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical pass',
                'verbose_name_plural': 'historical passes',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalNoticePreference',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('immediate', models.JSONField(blank=True, default=list, verbose_name='at once')),
                ('digest', models.CharField(choices=[('off', 'No digest'), ('daily', 'Every day'), ('weekly', 'Every Monday')], default='daily', max_length=10, verbose_name='digest')),
                ('hour', models.PositiveSmallIntegerField(default=7, verbose_name='hour of the digest')),
                ('language', models.CharField(blank=True, max_length=10, verbose_name='language')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.organization', verbose_name='organization')),
                ('user', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'historical notice preference',
                'verbose_name_plural': 'historical notice preferences',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
