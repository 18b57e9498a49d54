"""Settings have a history: who changed what, from what to what. Rows that are there begin theirs as they are now."""

from __future__ import annotations

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from integrations.audit_begin import begin_history


def begin(apps, schema_editor):
    begin_history(apps, schema_editor, "mappings", ["LinkRule", "LookupRule", "ValidationRule", "ValueMap", "ValueMapEntry"])


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("mappings", "0005_editor"),
        ("integrations", "0009_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoricalLinkRule',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='Rules are listed, and match rules tried, in this order.', verbose_name='order')),
                ('name', models.CharField(help_text='The object to associate with, such as company.', max_length=50, verbose_name='target object')),
                ('expression', models.TextField(help_text="Expression that gives the related record's id on the source side.", verbose_name='source')),
                ('related_slug', models.SlugField(help_text='Key of the mapping that brings the related record over, such as customers-to-companies.', max_length=60, verbose_name='related mapping')),
                ('required', models.BooleanField(default=False, help_text='Without the related record this one waits.', verbose_name='required')),
                ('target_field', models.CharField(blank=True, help_text="Field that gets the related record's id; empty: the two are associated.", max_length=100, verbose_name='target field')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('mapping_set', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mappings.mappingset', verbose_name='mapping')),
            ],
            options={
                'verbose_name': 'historical link',
                'verbose_name_plural': 'historical links',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalLookupRule',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='Rules are listed, and match rules tried, in this order.', verbose_name='order')),
                ('name', models.SlugField(help_text='Names the setting that says what happens otherwise, such as article.', max_length=40, verbose_name='key')),
                ('label', models.CharField(help_text='What people call this condition.', max_length=120, verbose_name='name')),
                ('scope', models.CharField(choices=[('header', 'Record'), ('line', 'Each line')], default='header', help_text='Looked up once per record, or for each of its lines.', max_length=10, verbose_name='scope')),
                ('expression', models.TextField(help_text='Field or expression whose value must exist.', verbose_name='source')),
                ('target_object', models.CharField(help_text='The object among which it is looked up, such as article.', max_length=50, verbose_name='target object')),
                ('target_field', models.CharField(help_text='The field of that object that must hold the value.', max_length=100, verbose_name='target field')),
                ('writes', models.CharField(blank=True, help_text='The field of the record or line that gets the value.', max_length=100, verbose_name='written to')),
                ('text_expression', models.TextField(blank=True, help_text='Expression that describes the value, such as the name of the line.', verbose_name='description')),
                ('text_field', models.CharField(blank=True, help_text='The field of the record or line that gets the description when the value cannot be written.', max_length=100, verbose_name='description field')),
                ('code', models.SlugField(blank=True, help_text='Stable name of the check, such as article_exists.', max_length=60, verbose_name='check')),
                ('message', models.CharField(blank=True, help_text='What is wrong, for the person who reads it.', max_length=300, verbose_name='message')),
                ('remedy', models.CharField(blank=True, help_text='What that person can do about it.', max_length=300, verbose_name='remedy')),
                ('repair', models.SlugField(blank=True, help_text='Repair that a card may offer, such as create_article.', max_length=40, verbose_name='repair')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('mapping_set', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mappings.mappingset', verbose_name='mapping')),
            ],
            options={
                'verbose_name': 'historical look-up',
                'verbose_name_plural': 'historical look-ups',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalValidationRule',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='Rules are listed, and match rules tried, in this order.', verbose_name='order')),
                ('label', models.CharField(help_text='What people call this condition.', max_length=120, verbose_name='name')),
                ('scope', models.CharField(choices=[('header', 'Record'), ('line', 'Each line')], default='header', help_text='Checked once per record, or for each of its lines.', max_length=10, verbose_name='scope')),
                ('expression', models.TextField(help_text='Expression that is true for a good record.', verbose_name='must hold')),
                ('outcome', models.CharField(choices=[('block', 'Stop and show for review'), ('skip', 'Leave it out'), ('skip_create', 'Do not create it; update it if it exists'), ('note', 'Only note it')], default='block', help_text='What happens when the condition does not hold.', max_length=12, verbose_name='otherwise')),
                ('message', models.CharField(blank=True, help_text='What is wrong, for the person who reads it.', max_length=300, verbose_name='message')),
                ('remedy', models.CharField(blank=True, help_text='What that person can do about it.', max_length=300, verbose_name='remedy')),
                ('code', models.SlugField(blank=True, help_text='Stable name of the check, such as company_associated.', max_length=60, verbose_name='key')),
                ('actual', models.TextField(blank=True, help_text='Expression whose value is shown beside the check; empty: nothing.', verbose_name='shows')),
                ('repair', models.SlugField(blank=True, help_text='Repair that a card may offer, such as create_customer.', max_length=40, verbose_name='repair')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('mapping_set', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mappings.mappingset', verbose_name='mapping')),
            ],
            options={
                'verbose_name': 'historical validation',
                'verbose_name_plural': 'historical validations',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalValueMap',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(help_text='As written in lookup(…, "name").', max_length=80, verbose_name='name')),
                ('unmapped', models.CharField(choices=[('block', 'Stop and show for review'), ('default', 'Use the default value'), ('pass', 'Pass the value on as it is')], default='block', help_text='What happens to a value that is not in the table.', max_length=10, verbose_name='unknown values')),
                ('default_value', models.CharField(blank=True, help_text='Used for unknown values, if so chosen.', max_length=200, verbose_name='default value')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('integration', models.ForeignKey(blank=True, db_constraint=False, help_text='The integration whose mappings may use it.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.integration', verbose_name='integration')),
                ('mapping_set', models.ForeignKey(blank=True, db_constraint=False, help_text='Only this mapping version; empty: every mapping of the integration.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mappings.mappingset', verbose_name='mapping')),
            ],
            options={
                'verbose_name': 'historical value map',
                'verbose_name_plural': 'historical value maps',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalValueMapEntry',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('source_value', models.CharField(blank=True, help_text='As the source writes it; empty: no value.', max_length=200, verbose_name='source value')),
                ('target_value', models.CharField(blank=True, help_text='What the target gets; empty: nothing.', max_length=200, verbose_name='target value')),
                ('updated_at', models.DateTimeField(blank=True, editable=False, verbose_name='changed')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('value_map', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='mappings.valuemap', verbose_name='value map')),
            ],
            options={
                'verbose_name': 'historical translation',
                'verbose_name_plural': 'historical translations',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
