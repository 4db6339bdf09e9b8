-- Who recorded an appeal, and therefore does not decide it. Of appeals that are open now it is not
-- known here until `rebuild records`; the record itself refuses that person in any case.
ALTER TABLE adjudication_v2 ADD COLUMN appealed_by text;
