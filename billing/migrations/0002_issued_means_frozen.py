"""Triggers that freeze issued documents, whoever asks. They fail closed: what can't be read as a draft can't be changed.

The search path is fixed: a temporary table of the same name must not answer for the real one.
"""

from django.db import migrations

FREEZE = """
CREATE FUNCTION flexgate_freeze_statement() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IS DISTINCT FROM 'draft' THEN
            RAISE EXCEPTION 'a statement begins as a draft' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'draft' AND NEW.status = 'issued'
        AND (to_jsonb(NEW) - 'status') = (to_jsonb(OLD) - 'status') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'statement % is frozen', OLD.number USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER issued_means_frozen BEFORE INSERT OR UPDATE OR DELETE ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION flexgate_freeze_statement();

CREATE FUNCTION flexgate_freeze_line() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent_status text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT status INTO parent_status FROM public.billing_statement WHERE id = NEW.statement_id;
        IF parent_status IS NOT DISTINCT FROM 'draft' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'lines of a statement are frozen' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER lines_are_frozen BEFORE INSERT OR UPDATE OR DELETE ON billing_statementline
    FOR EACH ROW EXECUTE FUNCTION flexgate_freeze_line();

CREATE FUNCTION flexgate_refuse_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is never emptied', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER statements_are_never_emptied BEFORE TRUNCATE ON billing_statement EXECUTE FUNCTION flexgate_refuse_truncate();
CREATE TRIGGER lines_are_never_emptied BEFORE TRUNCATE ON billing_statementline EXECUTE FUNCTION flexgate_refuse_truncate();
"""

THAW = """
DROP TRIGGER issued_means_frozen ON billing_statement;
DROP TRIGGER lines_are_frozen ON billing_statementline;
DROP TRIGGER statements_are_never_emptied ON billing_statement;
DROP TRIGGER lines_are_never_emptied ON billing_statementline;
DROP FUNCTION flexgate_freeze_statement();
DROP FUNCTION flexgate_freeze_line();
DROP FUNCTION flexgate_refuse_truncate();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunSQL(FREEZE, THAW)]
